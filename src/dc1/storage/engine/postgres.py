"""The shared engine: a bounded pool of PostgreSQL connections, with retries that never apply a unit twice."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import URL, Connection, Engine, Text, cast, create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from dc1.storage.engine.statements import PreparedStatement, drop_pending, send_pending

log = logging.getLogger(__name__)

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
# Long enough for PostgreSQL to restart, short enough for a caller to be told.
GIVE_UP_AFTER_SECONDS = 15.0

# A unit that wrote nothing has no id, and nothing that could be lost with the connection.
_CURRENT_TRANSACTION = PreparedStatement(select(cast(func.pg_current_xact_id_if_assigned(), Text)))
_TRANSACTION_STATUS = text("SELECT pg_xact_status(CAST(:xid AS xid8))")


class OutcomeUnknownError(RuntimeError):
    """The connection was lost during COMMIT and the server could not say in time what became of the transaction."""


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


def postgres_engine(url: URL, *, pool_size: int) -> Engine:
    """Return an engine whose prepared statements may travel together; whatever else is executed comes after them."""
    # Parameters are hidden, for errors are logged and parameters name people.
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=0, hide_parameters=True, connect_args=dict(patience(url))
    )

    @event.listens_for(engine, "before_cursor_execute")
    def send_first(connection: Connection, *_: Any) -> None:
        send_pending(connection)

    @event.listens_for(engine, "rollback")
    def send_nothing(connection: Connection) -> None:
        drop_pending(connection)

    return engine


class PostgresBackend:
    """PostgreSQL behind the two calls that every engine offers.

    Writes run at READ COMMITTED and lock the rows they decide on; reads see one REPEATABLE READ snapshot.
    """

    def __init__(self, url: URL, *, connections: int) -> None:
        self._engine = postgres_engine(url, pool_size=connections)
        # One snapshot for a whole read: a page and its total must speak of the same moment.
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="dc1-postgres")

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        """Do as `Database.write`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, run_write, self._engine, work)

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        """Do as `Database.read`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _run_read, self._snapshots, work)

    def close(self) -> None:
        """Finish the accepted work and release every connection."""
        self._threads.shutdown()
        self._engine.dispose()


def run_write(engine: Engine, work: Callable[[Connection], Any]) -> Any:
    """Run `work` in one transaction, again after a deadlock, a serialization failure or a lost connection.

    A connection that is lost during COMMIT leaves the outcome open; the server is then asked what became of that
    transaction, so that a unit which did commit is never run again.
    """

    def attempt() -> Any:
        with engine.connect() as connection:
            transaction = connection.begin()
            result = work(connection)
            # Asked before the COMMIT, whose answer may get lost; it takes along what was sent and has not left yet.
            ((xid,),) = _CURRENT_TRANSACTION.rows(connection, {})
            try:
                transaction.commit()
            except DBAPIError as error:
                if not (is_lost(error) and xid and _committed(engine, xid)):
                    raise
            return result

    return _retrying(attempt)


def _run_read(engine: Engine, work: Callable[[Connection], Any]) -> Any:
    def attempt() -> Any:
        with engine.begin() as connection:
            return work(connection)

    return _retrying(attempt)


def _committed(engine: Engine, xid: str) -> bool:
    def ask() -> Any:
        with engine.connect() as connection:
            return connection.scalar(_TRANSACTION_STATUS, {"xid": xid})

    give_up_at = time.monotonic() + GIVE_UP_AFTER_SECONDS
    # In progress for as long as the server has not noticed that its client is gone.
    try:
        while (status := _retrying(ask)) == "in progress" and time.monotonic() < give_up_at:
            time.sleep(0.05)
    except DBAPIError as error:
        # Not the error itself, which says that nothing was stored.
        raise OutcomeUnknownError(f"nobody could be asked about transaction {xid}") from error
    if status == "in progress":
        raise OutcomeUnknownError(f"transaction {xid} neither committed nor aborted in time")
    return bool(status == "committed")


def _retrying(attempt: Callable[[], Any]) -> Any:
    give_up_at = time.monotonic() + GIVE_UP_AFTER_SECONDS
    pause = 0.005
    while True:
        try:
            return attempt()
        except DBAPIError as error:
            if not _is_transient(error) or time.monotonic() > give_up_at:
                raise
            log.warning("retrying after %s", type(error.orig).__name__)
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, 0.5)


def _is_transient(error: DBAPIError) -> bool:
    return _sqlstate(error) in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED) or is_lost(error)


def is_lost(error: DBAPIError) -> bool:
    """Tell whether the connection went away, or the server is not accepting any yet (start-up, shutdown, restart)."""
    if error.connection_invalidated:
        return True
    state = _sqlstate(error)
    # No state: the connection failed before the server could name one. Class 08 are connection errors, 57P the
    # interventions of an operator: shutdown, crash, start-up.
    return isinstance(error, OperationalError) and (state is None or state.startswith(("08", "57P")))


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
