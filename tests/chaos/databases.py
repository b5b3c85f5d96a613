"""Databases that a market of the storm may have, and what strikes them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from dc1.storage.engine.database import normalised
from dc1.testing.postgres import PostgresServer
from dc1.testing.postgres_pair import PostgresPair
from tests.chaos.faults import Fault, fill, kill, stall
from tests.support.pgbouncer import pgbouncer
from tests.support.small_disk import SmallDisk, mounted_if_allowed

_DISK_MEBIBYTES = 400
"""In memory, as far as it is used: a storm of hundreds of faults writes dozens, and PostgreSQL has 50 at the start."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a market keeps its books; `settings` are those of its servers beside the address."""

    title: str
    url: str
    servers: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class _Database:
    """PostgreSQL as a victim."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def kill(self) -> None:
        self._server.crash()

    def start(self) -> None:
        self._server.start()

    def pids(self) -> Iterable[int]:
        return self._server.pids()


def killed_and_stalled(server: PostgresServer) -> list[Fault]:
    database = _Database(server)
    return [
        Fault("database killed", 2, lambda dice: kill(database, dice)),
        Fault("database stalled", 2, lambda dice: stall(database, dice)),
    ]


def filled(disk: SmallDisk | None, server: PostgresServer | None = None) -> list[Fault]:
    """Return the fault of a disk of which nothing is left; none of a disk that others need."""
    if disk is None:
        return []

    def strike(dice: Random) -> None:
        fill(disk, dice)
        # It ends when there is no room for its next log file, and whoever looks after it starts it again.
        if server is not None and not server.is_running():
            server.start()

    return [Fault("disk full", 2, strike)]


@contextmanager
def sqlite(directory: Path) -> Iterator[Place]:
    """One server on a file."""
    with mounted_if_allowed(_DISK_MEBIBYTES) as disk:
        place = directory if disk is None else disk.directory
        yield Place("SQLite", f"sqlite:///{place / 'dc1.sqlite3'}", servers=1, faults=filled(disk))


def on(server: PostgresServer) -> Place:
    """Two replicas on a database of a PostgreSQL that runs."""
    return Place("PostgreSQL", server.create(), faults=killed_and_stalled(server))


@contextmanager
def postgresql(directory: Path) -> Iterator[Place]:
    """Two replicas on PostgreSQL."""
    with mounted_if_allowed(_DISK_MEBIBYTES) as disk, running(disk) as server:
        place = on(server)
        yield replace(place, faults=[*place.faults, *filled(disk, server)])


@contextmanager
def running(disk: SmallDisk | None) -> Iterator[PostgresServer]:
    """Run a server on a disk of its own, if there is one."""
    if disk is None:
        with PostgresServer.running() as server:
            yield server
        return
    server = PostgresServer(disk.directory / "node")
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def standby(directory: Path) -> Iterator[Place]:
    """Two replicas on a pair, of which the one that is written to crashes and the other is promoted."""
    with PostgresPair.running() as pair:
        faults = [
            Fault("database failed over", 3, lambda dice: pair.replace_primary()),
            Fault("database stalled", 2, lambda dice: stall(pair.primary, dice)),
        ]
        yield Place("PostgreSQL with a standby", pair.url, faults=faults)


@contextmanager
def pooler(directory: Path) -> Iterator[Place]:
    """Two replicas behind a PgBouncer that lends connections by transaction."""
    with PostgresServer.running() as server:
        direct = server.create()
        with pgbouncer(normalised(direct), "transaction", pool_size=20) as address:
            settings = {"database_direct_url": direct}
            yield Place("PostgreSQL behind PgBouncer", address, settings=settings, faults=killed_and_stalled(server))


DATABASES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "standby": standby,
    "pooler": pooler,
}
