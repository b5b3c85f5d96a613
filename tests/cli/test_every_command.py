"""What holds for every command there is: nobody is shown a traceback, whatever was typed and whatever answers."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from typer.testing import Result

from dc1.cli.app import app
from dc1.client import retries
from dc1.client.synchronous import following
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

ROOT = typer.main.get_command(app)
# They run until somebody stops them, each with tests of its own.
LASTING = {("up",), ("serve",), ("edge",), ("daemon",), ("demo",)}
# They ask no marketplace.
LOCAL = {("login",), ("logout",), ("profiles",), ("health",)}
KEYS = ("DC1_RENTER_KEY", "DC1_PROVIDER_KEY", "DC1_ADMIN_TOKEN")
FILES = tuple(f"{name}_FILE" for name in KEYS)
Words = tuple[str, ...]


def _leaves(command: Any = ROOT, words: Words = ()) -> Iterator[tuple[Words, Any]]:
    further = getattr(command, "commands", {})
    if not further:
        yield words, command
    for name, one in further.items():
        yield from _leaves(one, (*words, name))


LEAVES = dict(_leaves())
CALLING = {
    words: one for words, one in LEAVES.items() if words not in LASTING | LOCAL and words[0] not in ("db", "doctor")
}


def _value(parameter: Any) -> str:
    """What a person might type for a parameter."""
    kind = parameter.type_descriptor.annotation
    return str((get_args(kind) or (None,))[0] or ("1" if kind in (int, float) else "nope"))


def _typed(command: Any) -> list[str]:
    """Whatever a command cannot be without, and what commands want one of."""
    words: list[str] = []
    for parameter in command.params:
        if parameter.required:
            words += (
                [_value(parameter)]
                if parameter.param_type_name == "argument"
                else [parameter.opts[0], _value(parameter)]
            )
    return words


# Where one of several things has to be said, which no parameter alone is required for.
ALSO: dict[Words, list[str]] = {
    ("renter", "topup"): ["100"],
    ("renter", "submit"): ["a prompt"],
    ("admin", "settle-withdrawal"): ["--reason", "r", "--reference", "r"],
}


@pytest.fixture
def each(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[Words, Result]]:
    """Runs all of some commands in the same way; fails with all that is wrong with any."""
    # Built once; the runner would build all commands for each of them.
    monkeypatch.setattr("typer.testing._get_command", lambda _: ROOT)
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(following, "_PAUSE_SECONDS", 0.0)

    def each(
        commands: dict[Words, Any],
        typed: Callable[[Any], list[str]],
        wrong: Callable[[Result], object],
        **env: str | None,
    ) -> dict[Words, Result]:
        found: dict[Words, Result] = {}
        faults: dict[str, object] = {}
        for words, command in commands.items():
            arguments = (*words, *ALSO.get(words, []), *typed(command))
            try:
                found[words] = run(*arguments, **env)
            # Of all commands at once: there are a hundred, and what is wrong with one is so with others.
            except Exception as error:
                faults[" ".join(arguments)] = repr(error)
                continue
            if fault := wrong(found[words]):
                faults[" ".join(arguments)] = fault
        if faults:
            pytest.fail("\n".join(f"{words}: {fault}" for words, fault in faults.items()), pytrace=False)
        return found

    return each


def _fails_with_a_sentence(result: Result) -> object:
    told = result.stderr.strip()
    is_sentence = told.endswith((".", "?", ")")) and "Traceback" not in told and "Errno" not in told and "{" not in told
    return (result.exit_code, told) if result.exit_code != 1 or not is_sentence or result.stdout else None


def _ends_in_words(result: Result) -> object:
    told = result.output
    return (
        (result.exit_code, told) if result.exit_code not in (0, 1) or "Traceback" in told or "Errno" in told else None
    )


def _is_wrong_use(result: Result) -> object:
    return (result.exit_code, result.output) if result.exit_code != 2 or "Traceback" in result.output else None


def test_help_fits_a_terminal(each: Any) -> None:
    def too_wide(result: Result) -> object:
        wide = [line for line in result.stdout.splitlines() if len(line) > 80]
        return (result.exit_code, wide) if result.exit_code or wide else None

    each(LEAVES, lambda _: ["--help"], too_wide, COLUMNS="80")


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": "No such thing"}, 404),
        Reply({"error": "Invalid API key"}, 401),
        Reply({"error": "Rate limit exceeded", "retryAfterSeconds": 60}, 429, headers={"retry-after": "60"}),
        # Later than a command waits for by itself.
        Reply({"error": "Service unavailable", "code": "UPSTREAM_UNAVAILABLE"}, 503, headers={"retry-after": "60"}),
        Reply("<html>Bad gateway</html>", 502, "text/html", {"retry-after": "60"}),
        Reply("<html>Welcome</html>", 200, "text/html"),
        Reply([]),
    ],
    ids=["unknown", "wrong key", "too many", "down", "proxy", "another site", "nothing"],
)
def test_whatever_answers_is_said_in_a_sentence(each: Any, server: ScriptedServer, reply: Reply) -> None:
    server.otherwise = reply
    # In which nothing but the answer may stand on standard output.
    each(CALLING, lambda one: [*_typed(one), "--json"], _fails_with_a_sentence)


@pytest.mark.parametrize("style", ["table", "json", "csv"])
def test_a_marketplace_that_says_less_is_none_of_a_traceback(each: Any, server: ScriptedServer, style: str) -> None:
    server.otherwise = Reply({})
    each(CALLING, lambda one: [*_typed(one), "--output", style], _ends_in_words)


def test_nobody_there_is_said_in_a_sentence(each: Any) -> None:
    # Bound and not listened on: nobody else can take the port, and nobody answers there.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        each(CALLING, _typed, _fails_with_a_sentence, DC1_URL=url)


def test_without_a_key_nothing_is_sent(each: Any, server: ScriptedServer) -> None:
    secret = {words: one for words, one in CALLING.items() if any(parameter.envvar in KEYS for parameter in one.params)}
    assert len(secret) > 80
    each(secret, _typed, _fails_with_a_sentence, **dict.fromkeys(KEYS))
    assert server.requests == []


@pytest.mark.parametrize("kind", ["missing", "folder", "picture"])
def test_a_key_file_that_cannot_be_one(each: Any, server: ScriptedServer, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "key"
    if kind == "folder":
        file.mkdir(mode=0o700)
    elif kind != "missing":
        file.write_bytes(b"\x89PNG\xff")
        file.chmod(0o600)

    def option(command: Any) -> str:
        return next((one.opts[0] for one in command.params if one.envvar in FILES), "")

    keyed = {words: one for words, one in CALLING.items() if option(one)}
    assert len(keyed) > 80
    each(keyed, lambda one: [*_typed(one), option(one), str(file)], _fails_with_a_sentence)
    assert server.requests == []


def test_numbers_that_are_none_are_wrong_use(each: Any, server: ScriptedServer) -> None:
    def numbers(command: Any) -> list[Any]:
        return [
            one for one in command.params if one.type_descriptor.annotation in (int, float, int | None, float | None)
        ]

    def option(command: Any) -> list[str]:
        given = next(one for one in numbers(command) if one.param_type_name == "option")
        return [*_typed(command), given.opts[0], "many"]

    def argument(command: Any) -> list[str]:
        return ["many"] * sum(one.param_type_name == "argument" for one in command.params)

    for kind, typed in (("option", option), ("argument", argument)):
        having = {
            words: one
            for words, one in LEAVES.items()
            if words not in LASTING and any(number.param_type_name == kind for number in numbers(one))
        }
        assert len(having) > 10
        each(having, typed, _is_wrong_use)
    assert server.requests == []


def test_what_is_no_option_is_wrong_use(each: Any) -> None:
    each(LEAVES, lambda one: ["--no-such-option"], _is_wrong_use)


def test_every_command_with_an_answer_has_it_in_each_style() -> None:
    styles = {words: {one.name for one in command.params} & {"as_json", "output"} for words, command in LEAVES.items()}
    without = {words for words, found in styles.items() if found != {"as_json", "output"}}
    assert without == LASTING | {("login",), ("logout",), ("profiles",), ("health",)}
