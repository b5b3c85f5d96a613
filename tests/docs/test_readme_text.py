"""What the README claims about routes, settings and commands, held against the code."""

import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import typer.main
from pydantic.fields import FieldInfo

from dc1.cli.app import app
from dc1.settings import Settings
from tests.docs.readme import blocks, table_rows
from tests.support.openapi import document


def described_routes() -> set[str]:
    return {f"{verb.upper()} {path}" for path, methods in document()["paths"].items() for verb in methods}


def test_the_api_table_lists_routes_that_exist() -> None:
    listed = re.findall(r"`((?:GET|POST|PATCH|DELETE) [^`]+)`", "\n".join(table_rows("API")))

    assert set(listed) <= described_routes()
    assert len(listed) == len(set(listed)) >= len(table_rows("API"))


def test_the_settings_table_lists_every_setting_with_its_default() -> None:
    expected = [setting_row(name, field) for name, field in Settings.model_fields.items()]

    assert table_rows("Settings") == expected, "\n".join(expected)


def setting_row(name: str, field: FieldInfo) -> str:
    return f"| `DC1_{name.upper()}` | {default_text(field.default)} | {field.description} |"


def default_text(default: Any) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(map(str, default))}`"
        case dict():
            return "`{" + ",".join(f'"{key}":{value}' for key, value in default.items()) + "}`"
        case float() | Decimal():
            return f"`{default:f}`" if default % 1 else f"`{int(default)}`"
        case _:
            return f"`{default}`"


def commands() -> Iterator[str]:
    for block in blocks():
        for line in block.text.splitlines():
            if line.removeprefix("$ ").startswith("dc1 "):
                yield line.removeprefix("$ ")


@pytest.mark.parametrize("line", list(commands()))
def test_commands_and_options_exist(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = [word for word in shlex.split(line, comments=True)[1:] if not word.startswith("…")]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]

    known = {option for parameter in command.params for option in parameter.opts}

    assert not hasattr(command, "commands"), f"{line}: no such command"
    assert {word for word in words if word.startswith("--")} <= known
