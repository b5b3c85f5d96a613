"""A real PgBouncer, the Debian package, in front of a PostgreSQL of these tests."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from dc1.testing.postgres import as_server
from dc1.testing.waiting import eventually

_PORT = 6432


@contextmanager
def pgbouncer(database: URL, pool_mode: str, pool_size: int = 4) -> Iterator[str]:
    """Run one for the block that lends so many connections, and return the address of the database through it."""
    # Debian has it where only root looks for programs.
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("There is no PgBouncer here (Debian: apt install pgbouncer).")
    with tempfile.TemporaryDirectory(prefix="dc1-pgbouncer-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        choices = directory / "pgbouncer.ini"
        choices.write_text(
            f"[databases]\n* = host={database.query['host']} port=5432 user={database.username}\n"
            f"[pgbouncer]\nunix_socket_dir = {directory}\nlisten_port = {_PORT}\nauth_type = any\n"
            f"pool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\n"
            # By default it lets nobody try for 15 s after its server was away.
            "server_login_retry = 1\n"
        )
        process = subprocess.Popen(as_server(program, "-q", str(choices)), cwd="/")
        address = f"host={directory} port={_PORT} user={database.username} dbname={database.database}"
        try:
            eventually(lambda: _answers(address), "PgBouncer letting somebody in")
            yield address
        finally:
            process.terminate()
            process.wait(10)


def _answers(address: str) -> bool:
    try:
        with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:
            return connection.execute("SELECT true").fetchone() == (True,)
    except psycopg.OperationalError:
        return False
