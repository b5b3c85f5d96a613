"""The drawings and tables of the architecture page are those of the code."""

import ast
import re
from pathlib import Path

from dc1.domain.jobs.states import ALLOWED, TERMINAL, Actor, JobStatus
from tests.docs.code_names import SOURCE
from tests.docs.pages import page

_PAGE = page("docs/architecture.md")
_FLOORS = (
    "cli",
    "client",
    "server",
    "services",
    "control",
    "storage",
    "domain",
    "daemon",
    "edge",
    "settings",
    "metrics",
    "codegen",
    "testing",
)
_EDGE = re.compile(r"^\s*(\S+) --> (\S+?)(?:: (.+))?$", re.MULTILINE)
_OUTSIDE = "[*]"


def test_the_drawing_of_states_has_every_move_and_who_may_make_it() -> None:
    (drawing,) = (block.text for block in _PAGE.blocks if block.text.startswith("stateDiagram"))
    moves = {
        (None if start == _OUTSIDE else JobStatus(start), JobStatus(end)): frozenset(map(Actor, who.split(", ")))
        for start, end, who in _EDGE.findall(drawing)
        if end != _OUTSIDE
    }

    assert moves == ALLOWED


def test_the_drawing_of_states_ends_where_jobs_do() -> None:
    (drawing,) = (block.text for block in _PAGE.blocks if block.text.startswith("stateDiagram"))

    assert {start for start, end, _ in _EDGE.findall(drawing) if end == _OUTSIDE} == TERMINAL


def test_the_table_of_rooms_says_what_each_says_of_itself() -> None:
    expected = [f"| `{place(path)}` | {sentence(path)} |" for path in rooms()]

    assert _PAGE.table_rows("Floors and rooms") == expected, "\n".join(expected)


def rooms() -> list[Path]:
    """Every floor, from the top, each followed by its rooms."""
    found: list[Path] = []
    for floor in (SOURCE / name for name in _FLOORS):
        found += [floor, *sorted(path for path in floor.iterdir() if (path / "__init__.py").exists())]
    return found


def place(path: Path) -> str:
    return f"{path.relative_to(SOURCE).as_posix()}/"


def sentence(path: Path) -> str:
    told = ast.get_docstring(ast.parse((path / "__init__.py").read_text(encoding="utf-8"))) or ""
    return told.partition("\n\n")[0].replace("\n", " ")


def test_no_floor_is_left_out() -> None:
    assert {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()} == set(_FLOORS)
