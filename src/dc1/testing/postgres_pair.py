"""A real PostgreSQL and its standby, which follows by streaming and can be promoted."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dc1.testing.postgres import OWNER, Node, roomy_memory
from dc1.testing.waiting import eventually

_START_SECONDS = 60


class PostgresPair:
    """A primary, a standby that every commit waits for, and the address that names both."""

    def __init__(self, directory: Path) -> None:
        self.primary, self.standby = (Node(directory / name, "fsync=off") for name in ("one", "two"))
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
        place = roomy_memory()
        with tempfile.TemporaryDirectory(prefix="dc1-pair-", dir=place, ignore_cleanup_errors=True) as directory:
            Path(directory).chmod(0o777)
            pair = cls(Path(directory))
            try:
                yield pair
            finally:
                for node in (pair.standby, pair.primary):
                    node.stop("immediate")

    @property
    def url(self) -> str:
        """An address of both nodes, in the form of libpq."""
        return f"host={self.primary.directory},{self.standby.directory} user={OWNER} dbname=dc1"

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
