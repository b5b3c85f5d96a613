from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from dc1.cli.app import app
from tests.cli.scripted_server import ScriptedServer, scripted_server

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def run(server: ScriptedServer) -> Run:
    """Runs `dc1 …` against the scripted server, with a key of each role in the environment."""
    environment = {
        "DC1_URL": server.url,
        "DC1_RENTER_KEY": "dc1-renter-x",
        "DC1_PROVIDER_KEY": "dc1-provider-x",
        "DC1_ADMIN_TOKEN": "secret",
        "COLUMNS": "200",
    }

    def run(*arguments: str, stdin: str | None = None, **env: str | None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin, env={**environment, **env}, catch_exceptions=False)

    return run
