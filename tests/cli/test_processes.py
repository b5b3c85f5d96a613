"""`dc1 up`, `serve` and `daemon` as a person runs them: real processes, real Envoy, real signals."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Run
from tests.stack.stack import Stack, free_port
from tests.stack.waiting import eventually

_START_SECONDS = 60.0


class Command:
    """A running `dc1` command."""

    def __init__(self, directory: Path, arguments: tuple[str, ...], settings: dict[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DC1_")}
        self._out, self._err = directory / "stdout", directory / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dc1.cli", *arguments],
                env={**inherited, "DC1_DATA_DIR": str(directory), "COLUMNS": "200", **settings},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def says(self, text: str) -> str:
        """All of stdout, once it contains `text`."""

        def said() -> str:
            assert self.process.poll() is None, self.stdout + self.stderr
            return self.stdout if text in self.stdout else ""

        return eventually(said, f"the words {text!r}", _START_SECONDS)

    def children(self) -> list[int]:
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(pid) for thread in threads for pid in (thread / "children").read_text().split()]

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the process and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(_START_SECONDS)


Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def start(*arguments: str, **settings: str) -> Command:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Command(directory, arguments, settings))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
        command.process.wait()


@pytest.fixture
def ports() -> dict[str, str]:
    return {"DC1_HTTP_PORT": str(free_port()), "DC1_GRPC_PORT": "0", "DC1_ENVOY_ADMIN_PORT": "0"}


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


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
    assert second.process.wait(_START_SECONDS) == 1
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

    assert up.process.wait(_START_SECONDS) == 1
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
        ({"DC1_HTTP_PORT": "70000"}, "DC1_HTTP_PORT: "),
        ({"DC1_DATABASE_URL": "oracle://x"}, "DC1_DATABASE_URL"),
        ({"DC1_DATA_DIR": "/proc/nowhere"}, "DC1_DATA_DIR"),
        ({"DC1_DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x"}, "u:***@127.0.0.1:1"),
    ],
)
def test_settings_that_cannot_be_used_are_one_sentence(start: Start, settings: dict[str, str], sentence: str) -> None:
    serve = start("serve", **{"DC1_GRPC_PORT": "0", **settings})

    assert serve.process.wait(_START_SECONDS) == 1
    (line,) = serve.stderr.splitlines()
    assert sentence in line


def test_a_daemon_with_a_key_nobody_knows_says_so(stack: Stack, start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("dc1-provider-nobody\n")

    daemon = start("daemon", "--server", stack.edge.target, "--key-file", str(key), "--no-containers")

    assert daemon.process.wait(_START_SECONDS) == 1
    assert "Traceback" not in daemon.stderr
    assert "dc1-provider-nobody" not in daemon.stderr


def test_a_daemon_drains_at_sigterm(stack: Stack, start: Start) -> None:
    provider = stack.register_provider()
    stack.admin.approve(provider.id)
    daemon = start("daemon", "--server", stack.edge.target, "--no-containers", DC1_PROVIDER_KEY=provider.key)
    eventually(lambda: provider.account()["is_live"], "the daemon connecting", _START_SECONDS)

    assert daemon.end(signal.SIGTERM) == 0
    assert provider.key not in daemon.stderr
