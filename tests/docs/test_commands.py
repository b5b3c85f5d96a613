"""Every command in the pages exists, with the options it is given."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from dc1.cli.app import app
from dc1.cli.options import COMMAND_VARIABLES
from dc1.settings.settings import FILE_VARIABLES, Settings
from tests.docs.pages import ROOT, Page, pages

_VARIABLE = re.compile(r"\bDC1_[A-Z][A-Z0-9_]*\b")
_NOT_VARIABLES = {
    "DC1_RESULT_JSON": "what a daemon begins a line of its output with (contract 3.4)",
    "DC1_TARGET": "read by an example only",
}


def lines() -> Iterator[tuple[Page, str]]:
    """Every line that a reader may type: of code blocks, and what stands between backticks."""
    for page in pages():
        for text in (*(line for block in page.blocks for line in block.text.splitlines()), *page.code):
            yield page, text.removeprefix("$ ").strip()


def of_program(program: str) -> list[Any]:
    typed = dict.fromkeys((str(page), line) for page, line in lines() if line.startswith(f"{program} "))
    return [pytest.param(line, id=f"{page}: {line}") for page, line in typed]


@pytest.mark.parametrize("line", of_program("dc1"))
def test_commands_and_options_exist(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = [word for word in shlex.split(line, comments=True)[1:] if not word.startswith("…")]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]

    known = {option for parameter in command.params for option in parameter.opts}

    # A group alone stands for all its commands; a word behind it would be one that does not exist.
    assert not (words and hasattr(command, "commands")), f"{line}: no such command"
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}


@pytest.mark.parametrize("line", of_program("make"))
def test_targets_and_the_tests_they_name_exist(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    words = shlex.split(line, comments=True)[1:]
    targets = [word for word in words if "=" not in word]

    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    assert [path for path in re.findall(r"tests/[\w/.]+", line) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_variables_are_read_by_somebody(page: Page) -> None:
    known = (
        COMMAND_VARIABLES
        | FILE_VARIABLES
        | {f"DC1_{name.upper()}" for name in Settings.model_fields}
        | set(_NOT_VARIABLES)
    )

    # DC1_… and DC1_ alone stand for all of them.
    assert set(_VARIABLE.findall(page.text)) <= known
