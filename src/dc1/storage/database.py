"""The one door to durable state: open a URL, then run units of work in it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self, TypeVar

from sqlalchemy import URL, Connection, make_url

from dc1.storage.migrate import upgrade
from dc1.storage.postgres import PostgresBackend
from dc1.storage.sqlite import SqliteBackend

__all__ = ["Connection", "Database", "normalised"]

T = TypeVar("T")


class _Backend(Protocol):
    async def write(self, work: Callable[[Connection], T]) -> T: ...
    async def read(self, work: Callable[[Connection], T]) -> T: ...
    def close(self) -> None: ...


class Database:
    """Durable state on SQLite (``sqlite:///path``) or PostgreSQL (``postgresql://user@host/name``)."""

    def __init__(self, url: URL, backend: _Backend) -> None:
        self.url = url
        self.on_commit: Callable[[], None] = lambda: None
        """Called after each write that other replicas may have to follow."""
        self._backend = backend

    @classmethod
    def open(cls, url: str, *, connections: int = 8) -> Self:
        """Create what is missing (directories, schema up to the newest revision) and open the database.

        ``connections`` bounds the PostgreSQL pool and, at most four of them, the SQLite readers.
        Raises ValueError for a URL of another engine or for an in-memory SQLite database, which readers and the
        writer could not share.
        """
        parsed = normalised(url)
        backend: _Backend
        if parsed.get_backend_name() == "sqlite":
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
            upgrade(parsed)
            backend = SqliteBackend(parsed, readers=min(connections, 4))
        else:
            upgrade(parsed)
            backend = PostgresBackend(parsed, connections=connections)
        return cls(parsed, backend)

    @property
    def is_shared(self) -> bool:
        """Whether several servers may work on it at once."""
        return self.engine_name != "sqlite"

    @property
    def engine_name(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.url.get_backend_name()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction and return its result once that is durable.

        Whatever ``work`` raises undoes its own effects and no other unit's, and is raised here. ``work`` may run
        again after a rollback, so it must have no effect outside the connection. A caller that is cancelled
        after the unit started does not stop it.
        """
        result = await self._backend.write(work)
        self.on_commit()
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on one consistent read-only snapshot."""
        return await self._backend.read(work)

    async def close(self) -> None:
        """Finish the accepted work and release every connection."""
        await asyncio.to_thread(self._backend.close)


def normalised(url: str) -> URL:
    """The URL with our driver in it; raises ValueError for an engine or a form that is not supported."""
    parsed = make_url(url)
    name = parsed.get_backend_name()
    if name == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("a SQLite URL needs a file: sqlite:///path/to/dc1.sqlite3")
        return parsed.set(drivername="sqlite+pysqlite")
    if name in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError(f"unsupported database engine: {name}")
