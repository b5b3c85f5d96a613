"""A standby that is asked for what it has, and passes on what it has not."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from dc1.containment import contained
from dc1.metrics.standby import StandbyMetrics
from dc1.storage.engine.postgres import Generation, connect_beside_the_pool, postgres_engine, snapshots
from dc1.storage.engine.standby.position import (
    ANSWERED_WITHIN_SECONDS,
    PRIMARY_POSITION,
    STANDBY_POSITION,
    Asker,
    NoPositionError,
    Position,
    Trail,
)
from dc1.storage.engine.watchdog import Watchdog

T = TypeVar("T")

log = logging.getLogger(__name__)

CATCHES_UP_WITHIN_SECONDS = 0.1
"""For so long a read waits for what was committed before it: a standby that streams is there within milliseconds."""

MOST_LAG_SECONDS = 2.0
"""A standby that is further behind is not waited for at all, until it has caught up."""

_LOOK_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.002
_SEEN = "dc1_position"


class Unfit(StrEnum):
    """Why a read is the primary's."""

    NOT_LOOKED_AT = "not_looked_at"
    BEHIND = "behind"
    OTHER_HISTORY = "other_history"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


class UnfitStandbyError(Exception):
    """A read that the primary has to answer."""

    def __init__(self, reason: Unfit) -> None:
        super().__init__(reason)
        self.reason = reason


class Standby:
    """Answers reads from a snapshot that has all that was committed before they were asked for, or not at all.

    Before each read the primary is asked how far it is, by one small question for all that come at a time, and the read
    waits until the standby is as far. So nobody has to be remembered by what he wrote last, and at which server.
    """

    def __init__(self, url: URL, primary: URL, *, connections: int, metrics: StandbyMetrics) -> None:
        self._metrics = metrics
        # Nothing is prepared: a pooler may stand in between, and no standby tells whether one does, as none is listened
        # at.
        engine = postgres_engine(url, pool_size=connections, keeps_sessions=False)
        self._engine = engine
        self._snapshots = snapshots(engine)
        self._generation = Generation(engine)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="dc1-standby")
        soon = round(ANSWERED_WITHIN_SECONDS)
        self._watchdog = Watchdog(engine, lambda: connect_beside_the_pool(url, connect_timeout=soon))
        self._primary = Asker(primary, PRIMARY_POSITION)
        self._itself = Asker(url, STANDBY_POSITION)
        self._trail = Trail()
        self._unfit: Unfit | None = Unfit.NOT_LOOKED_AT
        self._lost: asyncio.Future[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` there.

        Raises:
            UnfitStandbyError: the primary has to.
        """
        if self._watching is None or self._watching.done():
            # Not at the start, at which no loop runs.
            self._watching = asyncio.create_task(self._watch(), name="standby-watch")
        try:
            result = await self._answered(work)
        except UnfitStandbyError as unfit:
            self._metrics.passed_on(unfit.reason)
            raise
        self._metrics.answered()
        return result

    async def _answered(self, work: Callable[[Connection], T]) -> T:
        if self._unfit is not None or self._lost is None:
            raise UnfitStandbyError(self._unfit or Unfit.NOT_LOOKED_AT)
        try:
            wanted = await self._primary.position()
        except NoPositionError:
            # Without a primary nobody knows what was committed; it is asked for the read, and waited for.
            raise UnfitStandbyError(Unfit.UNREACHABLE) from None
        give_up_at, pause = time.monotonic() + CATCHES_UP_WITHIN_SECONDS, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._in_thread(partial(self._attempt, work, wanted))
            except _NotThereYetError:
                if time.monotonic() + pause > give_up_at:
                    raise UnfitStandbyError(Unfit.BEHIND) from None
            # Without a connection, of which others may have use.
            await asyncio.sleep(pause)
            pause *= 2

    async def _in_thread(self, attempt: Callable[[], T]) -> T:
        """Run an attempt, and leave it to itself as soon as a look finds that nobody answers there."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, attempt)
        either: set[asyncio.Future[Any]] = {running} if self._lost is None else {running, self._lost}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not running.done():
                running.add_done_callback(_forget)
        if not running.done():
            raise UnfitStandbyError(Unfit.UNREACHABLE)
        return running.result()

    def _attempt(self, work: Callable[[Connection], T], wanted: Position) -> T:
        with contained():
            made: int | None = None
            try:
                with self._snapshots.connect() as connection:
                    made = self._generation.of(connection)
                    _require(connection, wanted)
                    with connection.begin():
                        return work(connection)
            except (DBAPIError, psycopg.Error) as error:
                # Also a statement that is in the way of what the standby follows, and is ended for it. What is wrong
                # with a read itself the primary will say.
                log.warning("a standby did not answer a read: %s", type(getattr(error, "orig", error)).__name__)
                if made is not None and getattr(error, "connection_invalidated", True):
                    self._generation.leave(made)
                raise UnfitStandbyError(Unfit.REFUSED) from error

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> None:
        asked_at = time.monotonic()
        try:
            wanted = await self._primary.position()
        except NoPositionError:
            # Whether the standby can be used is another question, which can wait.
            return
        self._trail.add(asked_at, wanted)
        try:
            reached = await self._itself.position()
        except NoPositionError as error:
            self._find(Unfit.UNREACHABLE, str(error))
            return
        lag = self._trail.lag_seconds(reached)
        if not reached.is_comparable(wanted):
            self._find(Unfit.OTHER_HISTORY)
        else:
            self._find(Unfit.BEHIND if lag > MOST_LAG_SECONDS else None, f"{lag:.1f} s")
        self._metrics.looked(lag, self._unfit is None)

    def _find(self, unfit: Unfit | None, why: str = "") -> None:
        before, self._unfit = self._unfit, unfit
        if unfit is None:
            if self._lost is None or self._lost.done():
                self._lost = asyncio.get_running_loop().create_future()
            if before is not None:
                log.info("lists and history are read from the standby")
            return
        self._metrics.is_usable.set(0)
        if self._lost is not None and not self._lost.done() and unfit is Unfit.UNREACHABLE:
            self._lost.set_result(None)
        if before is not unfit:
            log.warning("lists and history are read from the primary: the standby is %s (%s)", unfit, why)

    async def close(self) -> None:
        """Finish the accepted work and release every connection."""
        if self._watching is not None:
            self._watching.cancel()
        await self._primary.close()
        await self._itself.close()
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        self._threads.shutdown()
        self._watchdog.close()
        self._engine.dispose()


class _NotThereYetError(Exception):
    """The standby lacks what was committed before a read was asked for."""


def _require(connection: Connection, wanted: Position) -> None:
    """Let a connection be used if its standby is far enough, which it is asked once for a position that it has.

    Raises:
        _NotThereYetError: it is not.
        UnfitStandbyError: it never will be.
    """
    seen = connection.info.get(_SEEN)
    if not (isinstance(seen, Position) and seen.covers(wanted)):
        seen = connection.info[_SEEN] = _reached(connection)
    if not seen.is_comparable(wanted):
        raise UnfitStandbyError(Unfit.OTHER_HISTORY)
    if not seen.covers(wanted):
        raise _NotThereYetError


def _reached(connection: Connection) -> Position:
    driver = connection.connection.driver_connection
    assert driver is not None
    try:
        # Outside of the transaction, whose snapshot must not be older than the answer.
        return Position.of(driver.execute(STANDBY_POSITION).fetchone())
    except NoPositionError:
        raise UnfitStandbyError(Unfit.OTHER_HISTORY) from None
    except psycopg.Error:
        # Past SQLAlchemy, which has to be told.
        connection.invalidate()
        raise


def _forget(attempt: "asyncio.Future[Any]") -> None:
    # What became of it is nobody's any more, and a failure that nobody asks for is told as one that was overlooked.
    if not attempt.cancelled():
        attempt.exception()
