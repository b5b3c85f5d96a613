"""The shared engine: a bounded pool of PostgreSQL connections, with retries that never apply a unit twice."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, Text, bindparam, case, cast, create_engine, event, func, null, select
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.types import UserDefinedType

from dc1.containment import contained
from dc1.storage.engine.compiled_once import COMPILED_ONCE
from dc1.storage.engine.followed import note_statements
from dc1.storage.engine.postgres_address import connect_arguments
from dc1.storage.engine.postgres_faults import PostgresFault, fault_of, is_lost, sqlstate
from dc1.storage.engine.statements import PreparedStatement, drop_pending, leave_begin, send_pending
from dc1.storage.engine.unwritable import OutcomeUnknownError, UnwritableError, UnwritableReason
from dc1.storage.engine.watchdog import ANSWERS_WITHIN_SECONDS, Watchdog

log = logging.getLogger(__name__)

# Long enough for PostgreSQL to restart, short enough for a caller to be told.
GIVE_UP_AFTER_SECONDS = 15.0


class _TransactionId(UserDefinedType[str]):
    """PostgreSQL's number of a transaction, which SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_kw: Any) -> str:
        """Return the name of the type."""
        return "xid8"


# The line of history that a server writes, which a standby leaves when it is promoted; none of a standby. The first
# eight digits of a file of the log are its number.
_TIMELINE = case(
    (func.pg_is_in_recovery(), null()), else_=func.substr(func.pg_walfile_name(func.pg_current_wal_lsn()), 1, 8)
)
# A unit that wrote nothing has no id, and nothing that could be lost with the connection.
_CURRENT_TRANSACTION = PreparedStatement(
    select(cast(func.pg_current_xact_id_if_assigned(), Text), cast(_TIMELINE, Text))
)
# A standby is not asked: what has not reached it yet may be committed all the same.
_STATUS = case(
    (func.pg_is_in_recovery(), null()), else_=func.pg_xact_status(cast(cast(bindparam("xid"), Text), _TransactionId))
)
# Since when the server counts, which begins anew with each recovery from a crash: the ids of transactions that had not
# reached the disk are given out a second time, on the same timeline. A restart in order keeps it.
_LIFE = cast(func.pg_stat_get_bgwriter_stat_reset_time(), Text)
_CURRENT_LIFE = select(_LIFE)
_TRANSACTION_STATUS = select(
    cast(_STATUS, Text).label("status"), cast(_TIMELINE, Text).label("timeline"), _LIFE.label("life")
)
# Of `pg_xact_status`, for an id that this server has not given to anybody.
_NOT_GIVEN_YET = "22023"
_BEGIN = "dc1_begin"
_GENERATION = "dc1_generation"
_KNOWN_LIFE = "dc1_life"
# As long as SQLite waits: who locks a table for longer, by hand or for maintenance, keeps every thread of ours.
_LOCK_MS = 10_000


# Seconds, and for the last one milliseconds. By TCP's own measure a server that vanished is waited for a quarter of an
# hour.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def patience(url: URL) -> dict[str, int]:
    """Return what to connect with so that a lost server is noticed soon; what the URL says itself goes first."""
    return {name: value for name, value in _PATIENCE.items() if name not in url.query}


def connect_beside_the_pool(url: URL, **chosen: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect for a question; what is `chosen` goes before what the URL says and before our patience.

    Each statement is its own transaction, after which a pooler by transaction lends the connection to the next, and
    nothing is prepared, which would be left behind with it.
    """
    arguments: dict[str, Any] = {**patience(url), **connect_arguments(url), **chosen}
    return psycopg.connect(autocommit=True, prepare_threshold=None, **arguments)


class Generation:
    """Which of a pool's connections are still used: those that were made since it was last left.

    After a fail-over one connection tells of all that lead to the same place. Those that are idle would otherwise stay
    there for ever, and answer reads from a node that hears of no change any more.
    """

    def __init__(self, engine: Engine) -> None:
        self._number = 0
        self._leaving = threading.Lock()

        @event.listens_for(engine, "connect")
        def mark(_connection: Any, record: Any) -> None:
            record.info[_GENERATION] = self._number

        @event.listens_for(engine, "checkout")
        def check(_connection: Any, record: Any, _proxy: Any) -> None:
            # The pool closes it, and makes a new one in its place.
            if record.info[_GENERATION] != self._number:
                raise DisconnectionError("made before the database was found elsewhere")

    def of(self, connection: Connection) -> int:
        """Return when a connection was made."""
        number: int = connection.info[_GENERATION]
        return number

    def leave(self, number: int) -> None:
        """Use no connection any more that is as old as that."""
        # Many find out at once, each in its thread, and the first of them may have new ones already.
        with self._leaving:
            self._number = max(self._number, number + 1)


def postgres_engine(url: URL, *, pool_size: int, keeps_sessions: bool = True) -> Engine:
    """Return an engine whose prepared statements may travel together; whatever else is executed comes after them."""
    arguments: dict[str, Any] = dict(patience(url))
    if not keeps_sessions:
        # What the driver prepares on one of the pooler's connections it would look for on the next.
        arguments["prepare_threshold"] = None
    # Parameters are hidden, for errors are logged and parameters name people.
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        connect_args=arguments,
        execution_options=COMPILED_ONCE,
    )

    @event.listens_for(engine, "connect")
    def begin_ourselves(connection: Any, _record: Any) -> None:
        # The driver would wait for the answer to its own BEGIN before it sends anything else.
        connection.autocommit = True
        if keeps_sessions:
            connection.execute(f"SET lock_timeout = {_LOCK_MS}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        leave_begin(connection, connection.get_execution_options().get(_BEGIN, "BEGIN"))

    @event.listens_for(engine, "before_cursor_execute")
    def send_first(connection: Connection, *_: Any) -> None:
        send_pending(connection)

    # What was sent before a commit has left, for a unit that writes asks for its number last.
    @event.listens_for(engine, "commit")
    @event.listens_for(engine, "rollback")
    def send_nothing(connection: Connection) -> None:
        drop_pending(connection)

    note_statements(engine)
    return engine


def snapshots(engine: Engine) -> Engine:
    """Return the engine for reads: a whole one sees one moment, as a page and its total must speak of the same."""
    return engine.execution_options(**{_BEGIN: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"})


class PostgresBackend:
    """PostgreSQL behind the two calls that every engine offers.

    Writes run at READ COMMITTED and lock the rows they decide on; reads see one REPEATABLE READ snapshot. Nothing is
    said outside of a transaction, which a pooler keeps together in any mode but by statement.
    """

    def __init__(self, url: URL, *, connections: int, keeps_sessions: bool = True) -> None:
        self._engine = postgres_engine(url, pool_size=connections, keeps_sessions=keeps_sessions)
        self._generation = Generation(self._engine)
        self._snapshots = snapshots(self._engine)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="dc1-postgres")
        soon = round(ANSWERS_WITHIN_SECONDS)
        self._watchdog = Watchdog(self._engine, lambda: connect_beside_the_pool(url, connect_timeout=soon))

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        """Do as `Database.write`."""
        return await self._run(_Attempts(self._engine, self._generation).write, work)

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        """Do as `Database.read`."""
        return await self._run(_Attempts(self._snapshots, self._generation).read, work)

    def close(self) -> None:
        """Finish the accepted work and release every connection."""
        self._threads.shutdown()
        self._watchdog.close()
        self._engine.dispose()

    async def _run(self, attempt: Callable[..., Any], work: Callable[[Connection], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _attempted, attempt, work)


def _attempted(attempt: Callable[..., Any], work: Callable[[Connection], Any]) -> Any:
    # Here and not where it is awaited: a future that cannot take what was raised leaves its caller waiting.
    with contained():
        return attempt(work)


def _life_of(connection: Connection) -> str | None:
    """Return the life of the server that a connection leads to, which no connection of its own outlives.

    A pooler's may, and then differs from what is found afterwards: the outcome is unknown, which it is.
    """
    if _KNOWN_LIFE not in connection.info:
        connection.info[_KNOWN_LIFE] = connection.execute(_CURRENT_LIFE).scalar_one()
    life: str | None = connection.info[_KNOWN_LIFE]
    return life


class _Attempts:
    """Tries of one unit until it ends, fails by its own doing, or has been tried for too long."""

    def __init__(self, engine: Engine, generation: Generation) -> None:
        self._engine = engine
        self._generation = generation
        # From when it was asked for, not from when it got its turn: behind waits that the watchdog ends, others would
        # wait for their own to be ended.
        self._give_up_at = time.monotonic() + GIVE_UP_AFTER_SECONDS

    def write(self, work: Callable[[Connection], Any]) -> Any:
        """Run `work` in one transaction, again after a conflict, a lost connection or on a node that cannot write.

        A connection that is lost during COMMIT leaves the outcome open; the server is then asked what became of that
        transaction, so that a unit which did commit is never run again.
        """

        def attempt(connection: Connection) -> Any:
            transaction = connection.begin()
            result = work(connection)
            # Asked before the COMMIT, whose answer may get lost; it takes along what was sent and has not left yet.
            ((xid, timeline),) = _CURRENT_TRANSACTION.rows(connection, {})
            life = _life_of(connection) if xid else None
            try:
                transaction.commit()
            except DBAPIError as error:
                if not (is_lost(error) and xid and self._committed(xid, timeline, life)):
                    raise
            return result

        return self._until_done(attempt)

    def read(self, work: Callable[[Connection], Any]) -> Any:
        """Run `work` on one snapshot."""

        def attempt(connection: Connection) -> Any:
            with connection.begin():
                return work(connection)

        return self._until_done(attempt)

    def _committed(self, xid: str, timeline: str | None, life: str | None) -> bool:
        try:
            return _Attempts(self._engine, self._generation)._has_committed(xid, timeline, life)
        except (DBAPIError, UnwritableError) as error:
            # A primary that was promoted before the transaction reached it has never heard of it.
            if isinstance(error, DBAPIError) and sqlstate(error) == _NOT_GIVEN_YET:
                return False
            # Not the error itself, which says that nothing was stored.
            raise OutcomeUnknownError(f"nobody could be asked about transaction {xid}") from error

    def _has_committed(self, xid: str, timeline: str | None, life: str | None) -> bool:
        def ask(connection: Connection) -> Any:
            return connection.execute(_TRANSACTION_STATUS, {"xid": xid}).one()

        # In progress for as long as the server has not noticed that its client is gone; a standby may be promoted.
        while (found := self._until_done(ask)).status == "in progress" or found.timeline is None:
            if time.monotonic() > self._give_up_at:
                raise OutcomeUnknownError(f"transaction {xid} neither committed nor aborted in time")
            time.sleep(0.05)
        if found.timeline != timeline:
            # What was promoted gives out ids anew that it had not heard of: this one may be somebody else's.
            raise OutcomeUnknownError(f"the database failed over while transaction {xid} was being committed")
        if found.status == "committed" and found.life != life:
            # Whoever came first after the crash may have been given this id.
            raise OutcomeUnknownError(f"the database crashed while transaction {xid} was being committed")
        return bool(found.status == "committed")

    def _until_done(self, attempt: Callable[[Connection], Any]) -> Any:
        if time.monotonic() > self._give_up_at:
            raise UnwritableError(UnwritableReason.NO_ANSWER)
        pause = 0.005
        looked_elsewhere = told = False
        while True:
            made: int | None = None
            try:
                with self._engine.connect() as connection:
                    made = self._generation.of(connection)
                    return attempt(connection)
            except DBAPIError as error:
                fault = fault_of(error)
                if made is not None and fault in (PostgresFault.GONE, PostgresFault.NOT_WRITABLE):
                    self._generation.leave(made)
                # Once is enough: a new connection leads to whoever can write, or nobody can.
                hopeless = fault is PostgresFault.OTHER or (fault is PostgresFault.NOT_WRITABLE and looked_elsewhere)
                if hopeless or time.monotonic() > self._give_up_at:
                    raise
                looked_elsewhere = fault is PostgresFault.NOT_WRITABLE
                # Once for a unit, which during an outage is tried some thirty times.
                if not told:
                    log.warning("retrying after %s", type(error.orig).__name__)
                told = True
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, 0.5)
