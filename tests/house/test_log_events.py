"""Log lines are searched by their event.

Each is a literal in snake_case, and what varies stands in fields beside it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src/dc1"
_LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def _is_level(called: ast.expr) -> bool:
    """Whether this is `log.info` or its like, or a choice between two of them, or `level_of`, which chooses."""
    if isinstance(called, ast.Call):
        return isinstance(called.func, ast.Name) and called.func.id == "level_of"
    if isinstance(called, ast.IfExp):
        return _is_level(called.body) and _is_level(called.orelse)
    return (
        isinstance(called, ast.Attribute)
        and called.attr in _LEVELS
        and isinstance(called.value, ast.Name)
        and called.value.id in {"log", "_log"}
    )


def _misnamed(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    if not any(isinstance(node, ast.Import) and node.names[0].name == "structlog" for node in tree.body):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_level(node.func):
            event = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if not (isinstance(event, str) and _EVENT.fullmatch(event)):
                yield ast.unparse(node)


def test_log_events_are_literals_in_snake_case() -> None:
    misnamed = {str(file): found for file in SOURCES.rglob("*.py") if (found := [*_misnamed(file.read_text("utf-8"))])}
    assert not misnamed


@pytest.mark.parametrize(
    "call",
    ['log.info("no case")', "_log.error(name)", "level_of(e, log)(name)", '(log.info if a else log.error)(f"a{b}")'],
)
def test_other_events_are_found(call: str) -> None:
    assert [*_misnamed(f"import structlog\n{call}")]
