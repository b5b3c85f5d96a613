"""`dc1 up`, `serve` and `daemon` as a person runs them: real processes, real Envoy, real signals."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Run, Start
from tests.cli.processes import START_SECONDS, is_running
from tests.stack.stack import Stack, free_port
from tests.stack.waiting import eventually


@pytest.fixture
def ports() -> dict[str, str]:
    return {"DC1_HTTP_PORT": str(free_port()), "DC1_GRPC_PORT": "0", "DC1_ENVOY_ADMIN_PORT": "0"}


def test_up_serves_until_ctrl_c_and_leaves_nothing_behind(start: Start, ports: dict[str, str], run: Run) -> None:
    up = start("up", **ports)
    words = up.says("serves until Ctrl-C")
    url = f"http://127.0.0.1:{ports['DC1_HTTP_PORT']}"
    up.says("data ")
    children = up.children()

    (token,) = re.findall(r"until this stops it is (\S+)", words)
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    assert run("admin", "dashboard", "--url", url, "--token", token).exit_code == 0
    assert token not in up.stderr

    second = start("up", **ports)
    assert second.process.wait(START_SECONDS) == 1
    assert second.stderr.startswith(f"Port {ports['DC1_HTTP_PORT']} on 127.0.0.1 is taken")
    assert len(second.stderr.splitlines()) == 1

    assert up.end(signal.SIGINT) == 0
    assert children
    assert not any(is_running(pid) for pid in children)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_up_says_when_envoy_dies(start: Start, ports: dict[str, str]) -> None:
    up = start("up", **ports)
    up.says("serves until Ctrl-C")
    (envoy,) = up.children()

    os.kill(envoy, signal.SIGKILL)

    assert up.process.wait(START_SECONDS) == 1
    assert up.stderr.splitlines()[-1].startswith("Envoy ended by itself, with status -9")


def test_an_admin_token_file_is_made_once_and_kept(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = set()
    for _ in range(2):
        serve = start("serve", "--admin-token-file", str(file), DC1_GRPC_PORT="0")
        assert "DC1_ADMIN_TOKEN" not in serve.says("The server runs")
        tokens.add(file.read_text())
        assert serve.end(signal.SIGTERM) == 0

    assert len(tokens) == 1
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"DC1_ENVIRONMENT": "production"}, "DC1_ADMIN_TOKEN is not set"),
        ({"DC1_DATA_DIR": "/proc/nowhere"}, "DC1_DATA_DIR"),
        ({"DC1_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x"}, "u:***@127.0.0.1:1"),
    ],
)
def test_settings_that_cannot_be_used_are_one_sentence(start: Start, settings: dict[str, str], sentence: str) -> None:
    serve = start("serve", **{"DC1_GRPC_PORT": "0", **settings})

    assert serve.process.wait(START_SECONDS) == 1
    (line,) = serve.stderr.splitlines()
    assert sentence in line


def test_a_daemon_with_a_key_nobody_knows_says_so(stack: Stack, start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("dc1-provider-nobody\n")

    daemon = start("daemon", "--server", stack.edge.target, "--key-file", str(key), "--no-containers")

    assert daemon.process.wait(START_SECONDS) == 1
    assert "Traceback" not in daemon.stderr
    assert "dc1-provider-nobody" not in daemon.stderr


def test_a_daemon_drains_at_sigterm(stack: Stack, start: Start) -> None:
    provider = stack.register_provider()
    stack.admin.approve(provider.id)
    daemon = start("daemon", "--server", stack.edge.target, "--no-containers", DC1_PROVIDER_KEY=provider.key)
    eventually(lambda: provider.account()["is_live"], "the daemon connecting", START_SECONDS)

    assert daemon.end(signal.SIGTERM) == 0
    assert provider.key not in daemon.stderr
