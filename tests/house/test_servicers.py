"""A servicer decodes, calls one command of control, and encodes.

What is stored, and what follows it, is said in control.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVICES = Path(__file__).resolve().parents[2] / "src/dc1/services"
DATABASE_NAMES = {"db", "_db", "database"}


def writes(source: str) -> Iterator[int]:
    """The lines on which something is written to a database, or the means to do so are taken."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "write":
            holder = node.value
            name = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
            if name in DATABASE_NAMES:
                yield node.lineno


@pytest.mark.parametrize(
    "line",
    ["await self._plane.db.write(work)", "await plane.db.write(lambda conn: None)", "store = self._db.write"],
)
def test_a_write_is_recognised(line: str) -> None:
    source = f"async def call(self, plane, work):\n    {line}\n"
    assert list(writes(source)) == [2]


def test_reading_is_no_write() -> None:
    assert list(writes("async def call(db):\n    await db.read(len)\n")) == []


def test_a_servicer_writes_nothing_itself() -> None:
    modules = sorted(SERVICES.rglob("*.py"))
    assert modules
    found = [f"{path.relative_to(SERVICES)}:{line}" for path in modules for line in writes(path.read_text("utf-8"))]
    assert found == [], "db.write belongs into a command of control/operations"
