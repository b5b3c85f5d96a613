"""A real PostgreSQL and its standby, which follows by streaming and can be promoted."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from dc1.testing.postgres import binaries, system_user, with_children
from dc1.testing.waiting import eventually

_START_SECONDS = 60
_OWNER = "postgres"


class Node:
    """One server, on a unix socket in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        directory.mkdir()
        directory.chmod(0o777)

    def make(self) -> None:
        """Make an empty cluster."""
        run("initdb", "--auth=trust", "--encoding=utf8", "-U", _OWNER, "-D", str(self.data), "--no-sync")

    def copy(self, primary: "Node") -> None:
        """Become a standby of another node."""
        run("pg_basebackup", "-h", str(primary.directory), "-U", _OWNER, "-D", str(self.data), "-R", "-c", "fast")

    def start(self, *options: str) -> None:
        """Start, and wait until connections are accepted."""
        chosen = [f"-c {option}" for option in ("listen_addresses=''", "fsync=off", *options)]
        arguments = " ".join([f"-k {self.directory}", *chosen])
        run("pg_ctl", "-w", "-D", str(self.data), "-l", str(self.directory / "log"), "-o", arguments, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is a crash."""
        with suppress(subprocess.CalledProcessError):
            run("pg_ctl", "-w", "-D", str(self.data), "-m", mode, "stop")

    def promote(self) -> None:
        """Take writes from now on."""
        run("pg_ctl", "-w", "-D", str(self.data), "promote")

    def pids(self) -> list[int]:
        """Return the processes of the server, those of its connections included."""
        return with_children(int((self.data / "postmaster.pid").read_text().split()[0]))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and to every process of it."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def sql(self, statement: str, database: str = _OWNER) -> list[tuple[Any, ...]]:
        """Execute as the superuser, without a transaction."""
        with psycopg.connect(
            host=str(self.directory), user=_OWNER, dbname=database, autocommit=True, connect_timeout=5
        ) as connection:
            answer = connection.execute(statement.encode())
            return answer.fetchall() if answer.description else []


class PostgresPair:
    """A primary, a standby that every commit waits for, and the address that names both."""

    def __init__(self, directory: Path) -> None:
        self.primary, self.standby = Node(directory / "one"), Node(directory / "two")
        self.primary.make()
        self.primary.start()
        self.primary.sql("CREATE DATABASE dc1")
        self.standby.copy(self.primary)
        self.standby.start()
        self._wait_for_standby()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["PostgresPair"]:
        """Run both for the block, in a directory that goes with it."""
        with tempfile.TemporaryDirectory(prefix="dc1-pair-", ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o777)
            pair = cls(Path(directory))
            try:
                yield pair
            finally:
                for node in (pair.standby, pair.primary):
                    with suppress(FileNotFoundError):
                        node.signal(signal.SIGCONT)
                    node.stop("immediate")

    @property
    def url(self) -> str:
        """An address of both nodes, in the form of libpq."""
        return f"host={self.primary.directory},{self.standby.directory} user={_OWNER} dbname=dc1"

    def replace_primary(self) -> None:
        """Crash the primary, promote the standby, and make a new standby of what is left of the other."""
        self.primary.stop("immediate")
        self.fail_over()
        self.primary, self.standby = self.standby, self.primary
        shutil.rmtree(self.standby.data)
        self.standby.copy(self.primary)
        self.standby.start()
        self._wait_for_standby()

    def _wait_for_standby(self) -> None:
        self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.sql("SELECT pg_reload_conf()")
        query = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: self.primary.sql(query), "the standby following", _START_SECONDS)

    def fail_over(self) -> None:
        """Promote the standby, which then waits for nobody; what it did not follow is known to nobody else."""
        self.standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.standby.promote()


def run(program: str, *arguments: str) -> str:
    """Run a program of PostgreSQL as the user that its servers have."""
    # Not through pipes, which a server that is started would keep open.
    with tempfile.TemporaryFile("w+") as said:
        command = [str(binaries() / program), *arguments]
        try:
            subprocess.run(command, check=True, stdout=said, stderr=said, user=system_user(), cwd="/")
        except subprocess.CalledProcessError as error:
            said.seek(0)
            error.add_note(said.read())
            raise
        said.seek(0)
        return said.read()
