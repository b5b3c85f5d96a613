"""The client without an event loop, made of the one with: dc1/client/synchronous."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

_NOTE = "# Made of `{source}` by `make gen`; edited there.\n"
_DROPPED = frozenset({"async", "await"})
_NAMES = {
    "asynchronous": "synchronous",
    "asyncio": "time",
    "asynccontextmanager": "contextmanager",
    "aclose": "close",
    "aread": "read",
    "aiter_sse": "iter_sse",
}
# What follows such a word is a name of the language, of the HTTP library or of ours.
_PREFIX = re.compile(r"^(__a|Async)(?=[a-z_A-Z])")


def synchronous_modules(asynchronous: Path) -> dict[str, str]:
    """Return the text of every module of the client without an event loop, by its file's name."""
    made = {file.name: _translated(file) for file in sorted(asynchronous.glob("*.py"))}
    made["__init__.py"] = (
        '"""The client for programs without an event loop, made of `dc1.client.asynchronous` by `make gen`."""\n'
    )
    return made


def _translated(file: Path) -> str:
    tokens = list(tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline))
    text: list[str] = []
    line, column = 1, 0
    for at, token in enumerate(tokens):
        # Only spaces and line breaks stand between two tokens; a word that goes takes the space behind it along.
        if token.start[0] > line:
            line, column = token.start[0], 0
        is_after_dropped = at > 0 and tokens[at - 1].string in _DROPPED
        text.append("" if is_after_dropped else " " * (token.start[1] - column))
        text.append(_word(token))
        line, column = token.end
    return _formatted(_NOTE.format(source=f"asynchronous/{file.name}") + "".join(text), file.name)


def _word(token: tokenize.TokenInfo) -> str:
    if token.type != tokenize.NAME:
        return token.string
    if token.string in _DROPPED:
        return ""
    name = _NAMES.get(token.string, token.string)
    return _PREFIX.sub(lambda found: "__" if found[1] == "__a" else "", name)


def _formatted(text: str, name: str) -> str:
    """Return a module as ruff has it: shorter names change where lines break, and the order of imports."""
    ruff = Path(sys.executable).parent / "ruff"
    given = ["--stdin-filename", f"src/dc1/client/synchronous/{name}", "-"]
    # Said, as ruff looks for files, and at first there are none. Two kinds of `with` can be one now.
    ours = 'lint.isort.known-first-party=["dc1"]'
    for command in (["check", "--quiet", "--fix", "--select", "I,SIM117", "--config", ours], ["format", "--quiet"]):
        ended = subprocess.run([ruff, *command, *given], input=text, capture_output=True, text=True, check=True)
        text = ended.stdout
    return text
