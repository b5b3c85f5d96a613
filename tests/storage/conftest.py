"""Every test here runs on both engines, each time in a database of its own."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from dc1.storage.engine.database import Database
from dc1.testing.postgres import PostgresServer

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    if engine_name == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "dc1.sqlite3")
        yield f"sqlite:///{tmp_path / 'dc1.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"t{uuid4().hex}"
    yield server.create(name)
    server.drop(name)


@contextmanager
def without_tables(engine_name: str, directory: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make room for a database and tell its URL; of SQLite not even the directory exists."""
    if engine_name == "sqlite":
        yield f"sqlite:///{directory / 'dc1.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"t{uuid4().hex}"
    yield server.create(name, template="template1")
    server.drop(name)


@pytest.fixture
def empty_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table."""
    with without_tables(engine_name, tmp_path / "new", request) as url:
        yield url


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    database = Database.open(url)
    yield database
    await database.close()
