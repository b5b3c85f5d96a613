"""Manual pages of every command, made from what `--help` says: `python -m dc1.cli.manual DIRECTORY`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from dc1.cli.app import app


def write_pages(directory: Path) -> None:
    """Write a page for the program and for each of its commands, `dc1-renter-submit.1` for one."""
    directory.mkdir(parents=True, exist_ok=True)
    for words, command in _commands(("dc1",), typer.main.get_command(app)):
        (directory / f"{'-'.join(words)}.1").write_text(page(words, command), encoding="utf-8")


def page(words: tuple[str, ...], command: Any) -> str:
    """Return the page of a command."""
    told = (command.help or "").strip()
    # Without a date: the page of a version is the same whenever it is made.
    lines = [
        f'.TH {_text("-".join(words)).upper()} 1 "" dc1',
        ".SH NAME",
        f"{_text('-'.join(words))} \\- {_text(told.partition('.')[0])}",
        ".SH SYNOPSIS",
        f".B {_text(' '.join(words))}",
        _text(" ".join(_usage(command))),
        ".SH DESCRIPTION",
        _text(told),
    ]
    if options := [
        one for one in command.params if not getattr(one, "hidden", False) and one.param_type_name == "option"
    ]:
        lines += [".SH OPTIONS", *(line for one in options for line in _option(one))]
    if further := getattr(command, "commands", {}):
        lines.append(".SH COMMANDS")
        lines += [f".TP\n.B {_text(name)}\n{_text(one.get_short_help_str(200))}" for name, one in further.items()]
    return "\n".join(line for line in lines if line) + "\n"


def _commands(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, further in getattr(command, "commands", {}).items():
        yield from _commands((*words, name), further)


def _usage(command: Any) -> list[str]:
    arguments = [one.metavar or one.name.upper() for one in command.params if one.param_type_name == "argument"]
    return ["[OPTIONS]", *arguments, *(["COMMAND"] if getattr(command, "commands", {}) else [])]


def _option(option: Any) -> Iterator[str]:
    yield ".TP"
    yield f".B {_text(', '.join([*option.opts, *option.secondary_opts]))}"
    # A script sets the variable more often than it writes the option.
    variable = f" ({option.envvar})" if option.envvar else ""
    yield _text((option.help or "") + variable)


def _text(text: str) -> str:
    # What begins a line with a dot or a quote is an instruction to roff, and a hyphen may be broken at.
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    escaped = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in escaped)
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
