"""Where markets are made: an engine, and new databases of it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dc1.testing.postgres import PostgresServer

ENGINES = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Place:
    """An engine, a directory for what a market writes, and a new, empty database each time one is asked for.

    `database_pids` tells the processes of the database, None where it is a part of the server's.
    """

    engine: str
    directory: Path
    new_database: Callable[[], str]
    database_pids: Callable[[], list[int]] | None = None


@contextmanager
def places(engines: Sequence[str], directory: Path) -> Iterator[list[Place]]:
    """One place for each engine; PostgreSQL runs until the block is left."""
    if "postgresql" not in engines:
        yield [Place("sqlite", directory, _new_file(directory))]
        return
    with PostgresServer.running() as server:
        makers = {"sqlite": _new_file(directory), "postgresql": server.create}
        pids = {"sqlite": None, "postgresql": server.pids}
        yield [Place(engine, directory, makers[engine], pids[engine]) for engine in engines]


def _new_file(directory: Path) -> Callable[[], str]:
    def create() -> str:
        shutil.rmtree(directory / "database", ignore_errors=True)
        return f"sqlite:///{directory / 'database' / 'dc1.sqlite3'}"

    return create
