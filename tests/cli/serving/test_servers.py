"""`dc1 up --servers`: several server processes behind one Envoy, as a person runs them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dc1.testing.edge import free_port
from dc1.testing.postgres import PostgresServer
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.cli.conftest import Run, Start
from tests.cli.processes import START_SECONDS, Command, is_running


@pytest.fixture
def shared(postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """Settings of a market on a PostgreSQL."""
    url = postgres_server.create("several")
    yield {
        "DC1_HTTP_PORT": str(free_port()),
        "DC1_DATABASE_URL": url,
        "DC1_ADMIN_TOKEN": ADMIN_TOKEN,
        "DC1_RATE_LIMITS_ENABLED": "false",
    }
    postgres_server.drop("several")


def servers_of(up: Command) -> list[int]:
    """The processes among its children that are servers."""
    return [pid for pid in up.children() if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


def test_several_share_the_work_and_who_ends_is_started_anew(start: Start, run: Run, shared: dict[str, str]) -> None:
    up = start("up", "--servers", "2", **shared)
    up.says("serves until Ctrl-C")
    with httpx.Client(base_url=f"http://127.0.0.1:{shared['DC1_HTTP_PORT']}") as client:
        assert client.get("/health").json()["status"] == "ok"
        first, second = servers_of(up)
        os.kill(second, signal.SIGKILL)
        # The other one has the market meanwhile.
        admin = {"x-admin-token": ADMIN_TOKEN}
        eventually(lambda: client.get("/admin/dashboard", headers=admin).is_success, "an answer")
        anew = eventually(lambda: [pid for pid in servers_of(up) if pid not in {first, second}], "a new one")
        assert first in servers_of(up)
    known = run("health", "--server", DC1_DATA_DIR=str(up.data_dir), **shared)
    assert known.exit_code == 0
    assert "grpc-1.sock" in known.stdout
    children = up.children()
    assert set(anew) <= set(children)
    assert up.end(signal.SIGTERM) == 0
    assert not any(is_running(pid) for pid in children)


def test_a_database_of_one_process_has_one_server(start: Start) -> None:
    up = start("up", "--servers", "2", DC1_HTTP_PORT=str(free_port()))
    assert up.process.wait(START_SECONDS) == 1
    assert up.stderr.startswith("Several servers share a PostgreSQL")
    assert len(up.stderr.splitlines()) == 1
