"""The embedded engine: one connection that writes, and a small pool of snapshot readers."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from dc1.containment import contained
from dc1.storage.engine.compiled_once import COMPILED_ONCE
from dc1.storage.engine.embedded.writer import GroupCommitWriter
from dc1.storage.engine.followed import note_statements
from dc1.storage.engine.statements import send_pending

# For other processes, such as a migration or a backup; our own writer is alone.
BUSY_TIMEOUT_MS = 10_000
# The kernel caches the file as well; what a connection keeps beside that is memory, and a reader loses it with every
# commit.
WRITER_CACHE_KIB = 8 * 1024
READER_CACHE_KIB = 2 * 1024


def sqlite_engine(url: URL, *, read_only: bool, pool_size: int) -> Engine:
    """Return an engine whose transactions begin explicitly.

    IMMEDIATE for the writer, deferred snapshots for readers.
    """
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=0, hide_parameters=True, execution_options=COMPILED_ONCE
    )

    has_begun = False

    @event.listens_for(engine, "do_connect")
    def open_what_is_there(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        # The first makes the file. Where it is gone later, another connection would make an empty one in its place.
        if has_begun and url.database and url.database != ":memory:":
            arguments[0], options["uri"] = f"file:{quote(url.database)}?mode=rw", True

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        nonlocal has_begun
        has_begun = True
        # The driver's own implicit BEGIN would come too late for BEGIN IMMEDIATE and break savepoints.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            # A commit is on disk before anybody hears of it, whatever becomes of the machine.
            "synchronous=FULL",
            # SQLite checks them only for connections that ask for it.
            "foreign_keys=ON",
            f"cache_size=-{READER_CACHE_KIB if read_only else WRITER_CACHE_KIB}",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    if not read_only:

        @event.listens_for(engine, "before_cursor_execute")
        def send_first(connection: Connection, *_: Any) -> None:
            send_pending(connection)

    note_statements(engine)
    return engine


class SqliteBackend:
    """SQLite in WAL mode behind the two calls that every engine offers."""

    def __init__(self, url: URL, *, readers: int, on_group: Callable[[int], None] = lambda _: None) -> None:
        self._write_engine = sqlite_engine(url, read_only=False, pool_size=1)
        self._read_engine = sqlite_engine(url, read_only=True, pool_size=readers)
        self._writer = GroupCommitWriter(self._write_engine, on_group)
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="dc1-sqlite-reader")

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        """Do as `Database.write`."""
        return await self._writer.submit(work)

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        """Do as `Database.read`."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[Connection], Any]) -> Any:
        # One transaction is one snapshot: in WAL mode it sees what was committed when it first looked.
        with contained(), self._read_engine.begin() as connection:
            return work(connection)

    def close(self) -> None:
        """Finish the accepted work and release every connection."""
        self._writer.close()
        self._readers.shutdown()
        self._read_engine.dispose()
        self._write_engine.dispose()
