import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from dc1.cli.app import app
from tests.cli.processes import Command
from tests.cli.scripted_server import ScriptedServer, scripted_server

Run = Callable[..., Result]
Start = Callable[..., Command]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Takes back how a command logs, whose stream is closed when it has ended."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def run(server: ScriptedServer, own_logging: None, tmp_path: Path) -> Run:
    """Runs `dc1 …` against the scripted server, with a key of each role in the environment."""
    environment = {
        "DC1_URL": server.url,
        "DC1_RENTER_KEY": "dc1-renter-x",
        "DC1_PROVIDER_KEY": "dc1-provider-x",
        "DC1_ADMIN_TOKEN": "secret",
        "COLUMNS": "200",
        # Nobody's own logins.
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }

    def run(*arguments: str, stdin: str | None = None, **env: str | None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin, env={**environment, **env}, catch_exceptions=False)

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `dc1 …` in a process, with settings as `DC1_…` variables; kills what still runs at the end of the test.

    `under` is a program that becomes it, such as `nohup`; a `cold` one loads its libraries itself.
    """
    started: list[Command] = []

    def start(*arguments: str, under: tuple[str, ...] = (), cold: bool = False, **settings: str) -> Command:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Command(directory, arguments, settings, under, cold=cold))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
        command.process.wait()
