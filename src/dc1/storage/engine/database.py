"""The one door to durable state: open a URL, then run units of work in it."""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, Self, TypeVar

import psycopg
from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from dc1 import tracing
from dc1.metrics.timing import DatabaseMetrics
from dc1.private_files import make_private_file
from dc1.storage.engine import followed
from dc1.storage.engine.embedded.sqlite import SqliteBackend
from dc1.storage.engine.followed import Outbox
from dc1.storage.engine.migrate import MigrationError, is_of_another_version, upgrade
from dc1.storage.engine.pooler import keeps_sessions, leads_to_the_same, lends_at_once
from dc1.storage.engine.postgres import PostgresBackend
from dc1.storage.engine.postgres_address import is_postgres, read_address
from dc1.storage.engine.postgres_checks import require_usable
from dc1.storage.engine.postgres_faults import is_lost, names_no_cause_here, will_not_let_in
from dc1.storage.engine.standby.standby import Standby, UnfitStandbyError
from dc1.storage.engine.unwritable import (
    OutcomeUnknownError,
    UnwritableError,
    UnwritableReason,
    may_be_the_schema,
    unwritable_reason,
)
from dc1.storage.engine.write_probe import HANGS_SECONDS, WriteProbe

__all__ = [
    "Connection",
    "Database",
    "UnreachableDatabaseError",
    "UnusableDatabaseError",
    "UnwritableReason",
    "normalised",
]

T = TypeVar("T")

log = logging.getLogger(__name__)

# A page of the database and of each of its logs, with which it cannot do much either.
_ROOM_BYTES = 64 * 1024
# One that listens to the other servers, and one that tells them.
_BESIDE_THE_POOL = 2


class UnusableDatabaseError(ValueError):
    """The database of a URL cannot be used; the text says why and shows no password."""


class UnreachableDatabaseError(UnusableDatabaseError):
    """The database's server did not let us in this time; when it is starting or restarting it will."""


class _Backend(Protocol):
    async def write(self, work: Callable[[Connection], T]) -> T: ...
    async def read(self, work: Callable[[Connection], T]) -> T: ...
    def close(self) -> None: ...


class Database:
    """Durable state on SQLite (`sqlite:///path`) or PostgreSQL (`postgresql://user@host/name`)."""

    def __init__(self, url: URL, backend: _Backend, metrics: DatabaseMetrics, session_url: URL | None = None) -> None:
        self.url = url
        self.metrics = metrics
        self.session_url = session_url or url
        """Where a connection is a session of PostgreSQL, which listening needs: past a pooler by transaction."""
        self.on_commit: Callable[[], None] = lambda: None
        """Called after each write of what other replicas follow."""
        self.on_filled: Callable[[Outbox], None] = lambda outbox: None
        """Called after each write that put something into an outbox."""
        self._backend = backend
        self._standby: Standby | None = None
        self._probe = WriteProbe(backend.write)
        self._is_of_another_version = False

    @classmethod
    def open(
        cls, url: str, *, connections: int = 8, direct_url: str | None = None, read_url: str | None = None
    ) -> Self:
        """Create what is missing (directories, schema up to the newest revision) and open the database.

        `connections` bounds the PostgreSQL pool and, at most four of them, the SQLite readers. `direct_url` leads to
        the same PostgreSQL past a pooler, and must where the pooler lends its connections by transaction. `read_url`
        leads to a standby of it, of which as many connections are used, or none while it is not there. A URL of
        another engine, an in-memory SQLite database, which readers and the writer could not share, and a database that
        cannot be read or brought up to date is an UnusableDatabaseError; when it is PostgreSQL that does not answer,
        the UnreachableDatabaseError among them.
        """
        parsed = normalised(url)
        metrics = DatabaseMetrics()
        is_shared = parsed.get_backend_name() != "sqlite"
        direct = normalised(direct_url) if direct_url and is_shared else None
        # Before anything is opened: an address that cannot be read is told at the start.
        standby = normalised_standby(read_url) if read_url and is_shared else None
        try:
            if direct is None:
                database = cls(parsed, _open(parsed, connections, metrics), metrics)
            else:
                database = cls(parsed, _open_past_a_pooler(parsed, direct, connections), metrics, direct)
            if standby is not None:
                primary = database.session_url
                database._standby = Standby(standby, primary, connections=connections, metrics=metrics.standby)
            return database
        except (OSError, DBAPIError, psycopg.Error, MigrationError) as error:
            reason = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
            if _lacks_room(parsed):
                reason += "; the disk that it is on is full"
            kind = UnreachableDatabaseError if _may_pass(error) else UnusableDatabaseError
            raise kind(
                f"{parsed.difference_update_query(['sslpassword']).render_as_string()}: {reason.rstrip('.')}"
            ) from error

    @property
    def is_shared(self) -> bool:
        """Whether several servers may work on it at once."""
        return self.engine_name != "sqlite"

    @property
    def engine_name(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    async def why_unwritable(self, patience_seconds: float) -> UnwritableReason | None:
        """Return why nothing can be written now, None when something can: from a write of at most a second ago."""
        # Asked again once it was found: tables of another version may let some of our writes pass, and go back.
        if self._is_of_another_version and await self._look_at_version():
            return UnwritableReason.SCHEMA_CHANGED
        return await self._probe.check(patience_seconds)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and return its result once that is durable.

        Where it changed what other replicas follow, `on_commit` is called, and each of them reads all of that; where
        it put something into an outbox, `on_filled`.

        Whatever `work` raises undoes its own effects and no other unit's, and is raised here. `work` may run
        again after a rollback, so it must have no effect outside the connection. A caller that is cancelled
        after the unit started does not stop it, unless it has to run again.

        Raises:
            UnwritableError: the last probe found that nothing can be written, so `work` was not tried; or it failed,
                and the schema has become another version's.
            OutcomeUnknownError: the database was lost during COMMIT, and is not there to be asked what it did.
        """
        if self._probe.reason is not None:
            raise UnwritableError(self._probe.reason)
        # One that hangs is no error yet, and nobody may be asking how the database is.
        hanging = asyncio.get_running_loop().call_later(HANGS_SECONDS, self._probe.doubt)
        try:
            noted = await self._measured("write", self._backend.write, lambda conn: followed.run(conn, work))
        except OutcomeUnknownError:
            self._probe.doubt()
            # Those who follow it look for it, in case that it is there.
            self.on_commit()
            raise
        except Exception as error:
            if unwritable_reason(error) is not None:
                self._probe.doubt()
            await self._blame_version(error)
            raise
        finally:
            hanging.cancel()
        # Once it is durable: whoever is told earlier would look and find nothing new.
        if noted.is_news:
            self.on_commit()
        for outbox in noted.filled:
            self.on_filled(outbox)
        return noted.result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent read-only snapshot.

        An UnwritableError says that it failed, and that the schema has become another version's.
        """
        try:
            return await self._measured("read", self._backend.read, work)
        except Exception as error:
            await self._blame_version(error)
            raise

    async def read_history(self, work: Callable[[Connection], T]) -> T:
        """Do as `read`, for lists and what is past: on the standby where there is one and it has what `read` would see.

        `work` may run a second time, on the primary, when the standby fails in the middle of it.
        """
        if self._standby is not None:
            try:
                return await self._measured("history", self._standby.read, work)
            except UnfitStandbyError:
                pass
        return await self.read(work)

    async def _measured(
        self, kind: str, run: Callable[[Callable[[Connection], T]], Awaitable[T]], work: Callable[[Connection], T]
    ) -> T:
        """Run `work`, and note how long it waited for its turn and how long it then took."""
        asked = begun = time.perf_counter()

        def in_turn(conn: Connection) -> T:
            nonlocal begun
            begun = time.perf_counter()
            return work(conn)

        with tracing.part(f"database {kind}"):
            result = await run(in_turn)
        # Of those that ended well: one that failed was waited for as long as the fault took.
        self.metrics.took(kind, begun - asked, time.perf_counter() - begun)
        return result

    async def _blame_version(self, error: Exception) -> None:
        """Look whether tables of another version explain an error.

        A server of before may go on beside a newer one for as long as its statements fit: only what fails is asked.

        Raises:
            UnwritableError: they do.
        """
        if may_be_the_schema(error) and await self._look_at_version():
            raise UnwritableError(UnwritableReason.SCHEMA_CHANGED) from error

    async def _look_at_version(self) -> bool:
        before = self._is_of_another_version
        try:
            async with asyncio.timeout(HANGS_SECONDS):
                self._is_of_another_version = await self._backend.read(is_of_another_version)
        except (TimeoutError, OSError, DBAPIError):
            return before
        if self._is_of_another_version and not before:
            log.error("the database was brought to another version; start that version of dc1 here")
        return self._is_of_another_version

    async def close(self) -> None:
        """Finish the accepted work and release every connection."""
        self._probe.close()
        if self._standby is not None:
            await self._standby.close()
        await asyncio.to_thread(self._backend.close)


def _open(url: URL, connections: int, metrics: DatabaseMetrics) -> _Backend:
    if url.get_backend_name() == "sqlite":
        # SQLite makes the file, and no directory.
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        _keep_to_ourselves(Path(str(url.database)))
        upgrade(url)
        return SqliteBackend(url, readers=min(connections, 4), on_group=metrics.group_units.observe)
    _require_usable(url)
    if not keeps_sessions(url):
        raise UnusableDatabaseError(
            "DC1_DATABASE_URL leads to a pooler that lends its connections by transaction, through which no notification "
            "is heard; set DC1_DATABASE_DIRECT_URL to an address of PostgreSQL itself, or pool_mode = session"
        )
    _require_enough(url, connections)
    upgrade(url)
    return PostgresBackend(url, connections=connections)


def _require_usable(url: URL) -> None:
    try:
        require_usable(url)
    except ValueError as error:
        raise UnusableDatabaseError(str(error)) from None


def _require_enough(url: URL, connections: int) -> None:
    wanted = connections + _BESIDE_THE_POOL
    if (lent := lends_at_once(url, wanted)) < wanted:
        # It may be another server that holds them, which is about to stop.
        raise UnreachableDatabaseError(
            f"DC1_DATABASE_URL leads to a pooler that lends {lent} connections now, and {wanted} are needed for "
            f"DC1_DATABASE_CONNECTIONS={connections}; raise its default_pool_size above what all servers open"
        )


def _open_past_a_pooler(url: URL, direct: URL, connections: int) -> _Backend:
    if not leads_to_the_same(url, direct):
        raise UnusableDatabaseError(
            "DC1_DATABASE_DIRECT_URL hears nothing of what DC1_DATABASE_URL says: it leads to another database, or "
            "through a pooler as well that lends its connections by transaction"
        )
    _require_usable(direct)
    # Tables are made in one long transaction, which binds a connection that the pooler might need.
    upgrade(direct)
    return PostgresBackend(url, connections=connections, keeps_sessions=keeps_sessions(url))


def _keep_to_ourselves(file: Path) -> None:
    """Take others' rights to the database, which tells of people and money, and to its logs.

    SQLite gives a log the rights that the database has, whatever the umask says.
    """
    logs = [log for ending in ("-wal", "-shm", "-journal") if (log := Path(f"{file}{ending}")).exists()]
    for each in (file, *logs):
        make_private_file(each)


def _lacks_room(url: URL) -> bool:
    # What SQLite says of a full disk depends on which of its files it was about to make: "disk I/O error" for one.
    if url.get_backend_name() != "sqlite":
        return False
    place = Path(str(url.database)).absolute().parent
    return place.is_dir() and shutil.disk_usage(place).free < _ROOM_BYTES


def _may_pass(error: Exception) -> bool:
    # A server that starts lets us in soon, and so does a pooler in front of it. Of PostgreSQL: SQLite is not lost.
    if will_not_let_in(str(error)):
        return False
    if isinstance(error, DBAPIError):
        return isinstance(error.orig, psycopg.Error) and is_lost(error)
    return isinstance(error, psycopg.OperationalError) and names_no_cause_here(error.sqlstate)


def normalised(url: str) -> URL:
    """Return the URL with our driver in it.

    Raises:
        UnusableDatabaseError: the engine or the form of the URL is not supported.
    """
    if is_postgres(url):
        return _of_postgres(url)
    try:
        parsed = make_url(url)
    # The second for a port that is no number.
    except (ArgumentError, ValueError):
        raise UnusableDatabaseError("a database URL looks like sqlite:///path or postgresql://user@host/name") from None
    name = parsed.get_backend_name()
    if name == "sqlite":
        # Each connection would get an empty database of its own.
        if not parsed.database or parsed.database == ":memory:":
            raise UnusableDatabaseError("a SQLite URL needs a file: sqlite:///path/to/dc1.sqlite3")
        return parsed.set(drivername="sqlite+pysqlite")
    raise UnusableDatabaseError(f"unsupported database engine: {name}")


def normalised_standby(url: str) -> URL:
    """Return the URL of a standby with our driver in it.

    Raises:
        UnusableDatabaseError: it is none of PostgreSQL, or cannot be read.
    """
    if not is_postgres(url):
        raise UnusableDatabaseError("DC1_DATABASE_READ_URL is not an address of PostgreSQL")
    return _of_postgres(url, of_standbys=True)


def _of_postgres(url: str, *, of_standbys: bool = False) -> URL:
    try:
        return read_address(url, of_standbys=of_standbys)
    except ValueError as error:
        raise UnusableDatabaseError(str(error)) from None
