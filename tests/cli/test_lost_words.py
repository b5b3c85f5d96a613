"""Logs and answers that cannot be written: full disks, closed pipes and terminals, letters that an encoding lacks."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dc1.testing.edge import free_port
from dc1.testing.market import LocalMarket
from dc1.testing.waiting import eventually
from tests.cli.processes import START_SECONDS
from tests.cli.scripted_server import Reply, ScriptedServer

Launch = Callable[..., "subprocess.Popen[str]"]
_SET_PIPE_SIZE = 1031
"""F_SETPIPE_SZ of Linux, for which Python 3.11 has a name on some systems only."""

_ACCOUNT = {
    "id": 1,
    "name": "مركز البيانات 😀",
    "email": "a@example.sa",
    "organization": None,
    "balance_halala": 1000,
    "total_spent_halala": 0,
    "total_jobs": 0,
    "created_at": "2026-03-22T19:00:05.000Z",
}


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts `dc1 …` with streams of the test's choice."""
    started: list[subprocess.Popen[str]] = []

    def launch(*arguments: str, stdout: Any = subprocess.DEVNULL, stderr: Any = subprocess.DEVNULL, **env: str) -> Any:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DC1_")}
        command = [sys.executable, "-m", "dc1.cli", *arguments]
        started.append(
            subprocess.Popen(
                command,
                env={**inherited, "DC1_DATA_DIR": str(tmp_path), **env},
                stdout=stdout,
                stderr=stderr,
                text=True,
            )
        )
        return started[-1]

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _full_disk() -> tuple[int, Callable[[], None]]:
    return os.open("/dev/full", os.O_WRONLY), lambda: None


def _closed_pipe() -> tuple[int, Callable[[], None]]:
    reader, writer = os.pipe()
    return writer, lambda: os.close(reader)


def _closed_terminal() -> tuple[int, Callable[[], None]]:
    here, there = pty.openpty()
    return there, lambda: os.close(here)


def _unread_pipe() -> tuple[int, Callable[[], None]]:
    _, writer = os.pipe()
    fcntl.fcntl(writer, _SET_PIPE_SIZE, 4096)
    return writer, lambda: None


_WAYS = pytest.mark.parametrize("way", [_full_disk, _closed_pipe, _closed_terminal, _unread_pipe])


@_WAYS
def test_a_market_whose_log_cannot_be_written_serves_on(
    launch: Launch, way: Callable[[], tuple[int, Callable[[], None]]]
) -> None:
    stream, lose = way()
    port = free_port()
    up = launch(
        "up",
        stdout=stream,
        stderr=stream,
        DC1_HTTP_PORT=str(port),
        DC1_ADMIN_TOKEN="letmein",
        DC1_RATE_LIMITS_ENABLED="false",
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        eventually(lambda: _is_up(client), "the market answering", START_SECONDS)
        lose()
        for number in range(30):
            account = {"name": f"Renter {number}", "email": f"r{number}@example.sa"}
            answer = client.post("/renters/register", json=account)
            assert answer.status_code == 201, answer.text
            assert client.get("/renters/me", headers={"x-renter-key": answer.json()["api_key"]}).status_code == 200
    up.send_signal(signal.SIGTERM)
    assert up.wait(START_SECONDS) == 0


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_what_was_lost_is_counted_and_told_when_the_log_is_read_again(launch: Launch) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, _SET_PIPE_SIZE, 4096)
    port = free_port()
    up = launch("up", stderr=writer, DC1_HTTP_PORT=str(port), DC1_ADMIN_TOKEN="letmein", DC1_LOG_FORMAT="json")
    os.close(writer)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        eventually(lambda: _is_up(client), "the market answering", START_SECONDS)
        for _ in range(60):
            assert client.get("/health").status_code == 200
        said = os.read(reader, 65536).decode()
        client.get("/health")
        said += os.read(reader, 65536).decode()
    up.send_signal(signal.SIGTERM)
    assert up.wait(START_SECONDS) == 0
    os.close(reader)
    lines = [json.loads(line) for line in said.splitlines() if line.endswith("}")]
    calls = sum(line["event"] == "call" for line in lines)
    (lost,) = (line for line in lines if line["event"] == "log_lines_lost")
    assert lost["count"] >= 20
    assert calls < 61
    assert lost["reason"] == "nobody reads it"


@_WAYS
def test_a_daemon_whose_log_cannot_be_written_works_on(
    market: LocalMarket, launch: Launch, way: Callable[[], tuple[int, Callable[[], None]]]
) -> None:
    provider = market.register_provider()
    market.admin.approve(provider.id)
    stream, lose = way()
    lose()
    daemon = launch(
        *("daemon", "--server", market.edge.target, "--no-containers"),
        stdout=stream,
        stderr=stream,
        DC1_PROVIDER_KEY=provider.key,
    )
    eventually(lambda: provider.account()["is_live"], "the daemon connecting", START_SECONDS)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(START_SECONDS) == 0


def _offering(server: ScriptedServer) -> dict[str, str]:
    server.on("GET /renters/me", Reply({"renter": _ACCOUNT, "recent_jobs": []}))
    return {"DC1_URL": server.url, "DC1_RENTER_KEY": "dc1-renter-x"}


@pytest.mark.parametrize("arguments", [["renter", "me"], ["renter", "me", "--json"], ["--version"], ["--help"]])
def test_a_full_disk_under_an_answer_is_one_sentence(
    server: ScriptedServer, launch: Launch, arguments: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        command = launch(*arguments, stdout=full, stderr=subprocess.PIPE, **_offering(server))
    assert command.communicate(timeout=60)[1] == "Standard output cannot be written: No space left on device.\n"
    assert command.returncode == 1


def test_a_refusal_that_nobody_can_be_told_is_a_status(server: ScriptedServer, launch: Launch) -> None:
    with Path("/dev/full").open("w") as full:
        command = launch("renter", "balance", stdout=full, stderr=full, **_offering(server))
    assert command.wait(60) == 1


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp1252"])
def test_letters_that_an_encoding_lacks_become_escapes(server: ScriptedServer, launch: Launch, encoding: str) -> None:
    offering = {**_offering(server), "PYTHONIOENCODING": encoding}
    table = launch("renter", "me", stdout=subprocess.PIPE, stderr=subprocess.PIPE, **offering)
    said, complaints = table.communicate(timeout=60)
    assert (table.returncode, complaints) == (0, "")
    assert "\\u0645" in said
    exact = launch("renter", "me", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE, **offering)
    said, complaints = exact.communicate(timeout=60)
    assert (exact.returncode, complaints) == (0, "")
    assert json.loads(said)["renter"]["name"] == _ACCOUNT["name"]
