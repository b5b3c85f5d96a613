"""How far a server of PostgreSQL is in the log, in numbers that a primary and its standbys share."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from sqlalchemy import URL

from dc1.containment import contained
from dc1.storage.engine.postgres import connect_beside_the_pool
from dc1.storage.engine.watchdog import shut

ANSWERED_WITHIN_SECONDS = 2.0
"""A question takes a millisecond; who does not answer for so long is not there for us."""

_MOST_MARKS = 1_000

# Which cluster, and which database of it.
_IDENTITY = (
    "(SELECT system_identifier FROM pg_control_system()) || '/' ||"
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# The first eight digits of a file of the log are the line of history that a server writes. A standby that parted from
# the others may be ahead of them in numbers that mean something else: its own line tells. It is written down later than
# it begins, so that a standby that follows a promoted one is left out for some minutes.
_WRITTEN_LINE = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
_FOLLOWED_LINE = (
    "(SELECT upper(lpad(to_hex(greatest(of_checkpoint.timeline_id, of_recovery.min_recovery_end_timeline)), 8, '0'))"
    " FROM pg_control_checkpoint() AS of_checkpoint, pg_control_recovery() AS of_recovery)"
)
# What was flushed, which every COMMIT that was answered is. One that takes no writes is not the primary, or not any
# more: what it has flushed says nothing of the one that does.
PRIMARY_POSITION = (
    f"SELECT {_IDENTITY}, {_WRITTEN_LINE}, pg_current_wal_flush_lsn() - '0/0'::pg_lsn"
    " WHERE NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'"
)
# Also of one that was promoted.
STANDBY_POSITION = (
    f"SELECT {_IDENTITY}, CASE WHEN pg_is_in_recovery() THEN {_FOLLOWED_LINE} ELSE {_WRITTEN_LINE} END,"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn"
)


class NoPositionError(Exception):
    """A server does not say how far it is: it is not there, does not answer, or is none that can."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: `offset` bytes of the line of history `timeline` of one database of one cluster."""

    identity: str
    timeline: str
    offset: int

    @classmethod
    def of(cls, row: tuple[Any, ...] | None) -> Self:
        """Return what one of the two questions was answered.

        Raises:
            NoPositionError: nothing, as by a server that is not asked this, or whose log is not ours.
        """
        if row is None or None in row:
            raise NoPositionError("it has no place in the log")
        return cls(str(row[0]), str(row[1]), int(row[2]))

    def is_comparable(self, other: "Position") -> bool:
        """Tell whether both are on one line of history."""
        return (self.identity, self.timeline) == (other.identity, other.timeline)

    def covers(self, other: "Position") -> bool:
        """Tell whether all that is before `other` is before this one."""
        return self.is_comparable(other) and self.offset >= other.offset


def bytes_behind(standby: URL, primary: URL) -> int:
    """Return how much of a primary's log a standby has still to follow, asked once.

    Raises:
        NoPositionError: it follows another one, or either does not say.
    """
    with _connected(primary) as there, _connected(standby) as here:
        wanted = Position.of(there.execute(PRIMARY_POSITION.encode()).fetchone())
        reached = Position.of(here.execute(STANDBY_POSITION.encode()).fetchone())
    if not reached.is_comparable(wanted):
        raise NoPositionError("it follows another database, or a primary that was left")
    return max(0, wanted.offset - reached.offset)


def _connected(url: URL) -> psycopg.Connection[tuple[Any, ...]]:
    return connect_beside_the_pool(url, connect_timeout=round(ANSWERED_WITHIN_SECONDS))


class Asker:
    """Asks one server how far it is, by a connection of its own; who asks at the same time shares an answer."""

    def __init__(self, url: URL, question: str) -> None:
        self._url = url
        self._question = question
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dc1-log-position")
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._waiting: list[asyncio.Future[Position]] = []
        self._asking: asyncio.Task[None] | None = None

    async def position(self) -> Position:
        """Return how far the server is, as it says after this was called; a NoPositionError that it does not say."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_on(), name="log-position")
        found: Position = await answer
        return found

    async def _ask_on(self) -> None:
        while self._waiting:
            # Whoever comes while a question is under way needs the next one: this may be answered already.
            group, self._waiting = self._waiting, []
            try:
                answered = await self._ask()
            except asyncio.CancelledError:
                answered = "closed"
            # Who does not wait any more is done.
            for each in (one for one in group if not one.done()):
                if isinstance(answered, Position):
                    each.set_result(answered)
                else:
                    each.set_exception(NoPositionError(answered))

    async def _ask(self) -> Position | str:
        loop = asyncio.get_running_loop()
        hanging = loop.call_later(ANSWERED_WITHIN_SECONDS, self._wake)
        try:
            return await loop.run_in_executor(self._thread, self._asked)
        except Exception as error:
            # Whatever it is: those who wait must be answered. By its name, as a text may show an address.
            return type(error).__name__
        finally:
            hanging.cancel()

    def _asked(self) -> Position:
        with contained():
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = _connected(self._url)
                return Position.of(self._connection.execute(self._question.encode()).fetchone())
            except (psycopg.Error, NoPositionError):
                # The next one may lead elsewhere, as to the primary of then.
                self._leave()
                raise

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _wake(self) -> None:
        # Read once: its own thread takes it away.
        connection = self._connection
        if connection is not None:
            shut(connection)

    async def close(self) -> None:
        """Ask no more, and release the connection."""
        if self._asking is not None:
            self._asking.cancel()
        for each in self._waiting:
            each.cancel()
        self._wake()
        await asyncio.to_thread(self._thread.shutdown)
        self._leave()


class Trail:
    """Where a primary was when, by which it is told since when a standby lacks something."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, Position]] = []

    def add(self, at: float, position: Position) -> None:
        """Note that the primary was at a position at a time of `time.monotonic()`."""
        self._marks.append((at, position))
        # Of a long way behind the moments need not be told apart as well.
        if len(self._marks) > _MOST_MARKS:
            del self._marks[1::2]

    def lag_seconds(self, reached: Position) -> float:
        """Return how old what a standby knows is, and forget what is older still."""
        known = [mark for mark in self._marks if reached.covers(mark[1])]
        # Of what nobody looked at the oldest is known at least.
        since = known[-1][0] if known else self._marks[0][0]
        newest = self._marks[-1][0]
        self._marks = [mark for mark in self._marks if mark[0] >= since]
        return 0.0 if since == newest and known else time.monotonic() - since
