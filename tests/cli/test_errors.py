import socket
from pathlib import Path
from typing import Any

import pytest
import typer.main

from dc1.cli.app import app
from dc1.cli.options import COMMAND_VARIABLES
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"error": "Invalid API key"}, "Invalid API key (HTTP 401)."),
        (
            402,
            {
                "error": "Insufficient balance",
                "code": "INSUFFICIENT_BALANCE",
                "balance_halala": 3,
                "required_halala": 45,
            },
            "Insufficient balance (HTTP 402; balance_halala 3; required_halala 45).",
        ),
        (
            400,
            {"error": "Validation failed", "fields": [{"field": "name", "message": "must have 2 characters"}]},
            "Validation failed (HTTP 400; name: must have 2 characters).",
        ),
        (
            429,
            {"error": "Rate limit exceeded", "retryAfterSeconds": 7, "retryAfterMs": 7000},
            "Rate limit exceeded (HTTP 429; retryAfterSeconds 7).",
        ),
    ],
)
def test_a_refusal_is_one_sentence(
    server: ScriptedServer, run: Run, status: int, body: dict[str, Any], sentence: str
) -> None:
    server.on("GET /renters/me", Reply(body, status))

    result = run("renter", "me")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", sentence + "\n")


def test_json_prints_no_answer_where_there_is_none(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/me", Reply({"error": "Invalid API key"}, 401))

    result = run("renter", "me", "--json")

    assert (result.exit_code, result.stdout) == (1, "")


def test_nobody_there(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    result = run("renter", "me", DC1_URL=f"http://127.0.0.1:{port}")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Nothing answers at http://127.0.0.1:{port}: start a marketplace with `dc1 up`")


@pytest.mark.parametrize("url", ["localhost:8083", "ftp://example.sa", "http://", "http://[::"])
def test_an_address_that_is_none(run: Run, url: str) -> None:
    result = run("renter", "me", "--url", url)

    assert result.exit_code == 1
    assert "is not an address" in result.stderr


@pytest.mark.parametrize("body", ["<html>", "[]", ""])
def test_an_answer_of_something_else(server: ScriptedServer, run: Run, body: str) -> None:
    server.on("GET /renters/me", Reply(body))

    result = run("renter", "me")

    assert result.exit_code == 1
    assert "without a JSON object" in result.stderr


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (["renter", "me"], "DC1_RENTER_KEY"),
        (["provider", "me"], "DC1_PROVIDER_KEY"),
        (["admin", "dashboard"], "DC1_ADMIN_TOKEN"),
    ],
)
def test_a_missing_credential_names_its_variable(
    server: ScriptedServer, run: Run, command: list[str], variable: str
) -> None:
    result = run(*command, **{variable: None})

    assert result.exit_code == 1
    assert variable in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("cl\u00e9", "The key or token has characters in it that none has; was it copied as a whole?\n"),
        ("two\nlines", "--key has a line break or another character within it that no secret has.\n"),
    ],
)
def test_a_credential_that_cannot_be_one_is_not_sent(server: ScriptedServer, run: Run, key: str, told: str) -> None:
    result = run("renter", "me", "--key", key)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == told
    assert server.requests == []


def test_a_file_that_cannot_be_written(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.on("GET /jobs/1/output", Reply({"type": "text", "response": "blue"}))

    result = run("renter", "output", "1", "--save", str(tmp_path))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{tmp_path} cannot be written: ")


def test_wrong_use_is_exit_code_2(run: Run) -> None:
    assert run("renter", "topup", "much").exit_code == 2
    assert run("renter", "topup", "10", "--sar", "10", "--key", "k").exit_code == 1
    assert run("renter", "topup", "--key", "k").exit_code == 1
    assert run("admin", "approve", "0").exit_code == 2
    assert run("renter", "nothing").exit_code == 2


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_setting_that_cannot_be_used_is_named(run: Run, command: str) -> None:
    result = run(command, DC1_HTTP_PORT="70000")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("DC1_HTTP_PORT: ")


@pytest.mark.parametrize("group", [[], ["renter"], ["provider"], ["admin"]])
def test_help_cuts_no_words_off(run: Run, group: list[str]) -> None:
    result = run(*group, "--help", COLUMNS="80")

    assert result.exit_code == 0
    assert not [line for line in result.stdout.splitlines() if line.endswith("...") and "Usage" not in line]


def test_the_daemon_s_help_names_its_variables(run: Run) -> None:
    help_text = run("daemon", "--help", COLUMNS="80").stdout

    for variable in ("DC1_PROVIDER_KEY", "DC1_ENGINE_API_KEY", "DC1_CONTAINER_SOCKET", "DC1_DAEMON_DRAIN_SECONDS"):
        assert variable in help_text


def test_every_variable_of_a_command_is_known() -> None:
    def variables(command: Any) -> set[str]:
        own = {parameter.envvar for parameter in command.params if parameter.envvar}
        return own.union(*(variables(one) for one in getattr(command, "commands", {}).values()))

    assert variables(typer.main.get_command(app)) == COMMAND_VARIABLES
