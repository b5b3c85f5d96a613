"""The house style that can be counted: small folders, small modules, short functions, and imports without circles."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
SOURCES = sorted(SRC.rglob("*.py"))
EVERYTHING = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]
# A revision is a record of what a database went through and is never edited, however long it was then.
RECORDS = SRC / "dc1/storage/schema/migrations/versions"
MOST_MODULES_OF_A_FOLDER = 16
MOST_LINES_OF_A_MODULE = 400
MOST_LINES_OF_NINE_FUNCTIONS_IN_TEN = 20


def _name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in SOURCES}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imported(module: str) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it."""
    for node in ast.walk(_tree(MODULES[module])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def _percentile(sizes: list[int], share: float) -> int:
    return sorted(sizes)[int(len(sizes) * share)]


def test_no_folder_has_more_modules_than_can_be_looked_over() -> None:
    folders: dict[Path, int] = {}
    for path in EVERYTHING:
        if path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    too_large = {
        str(path.relative_to(ROOT)): count for path, count in folders.items() if count > MOST_MODULES_OF_A_FOLDER
    }
    assert not too_large


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    lines = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING if RECORDS not in path.parents
    }
    assert not {str(path): count for path, count in lines.items() if count > MOST_LINES_OF_A_MODULE}


def test_the_median_module_is_one_page_to_three() -> None:
    sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES if path.name != "__init__.py"]
    assert 60 <= _percentile(sizes, 0.5) <= 150


@pytest.mark.parametrize(
    "floor", sorted(path.name for path in (SRC / "dc1").iterdir() if (path / "__init__.py").exists())
)
def test_functions_are_short(floor: str) -> None:
    sizes = [
        (node.end_lineno or 0) - node.lineno + 1
        for path in (SRC / "dc1" / floor).rglob("*.py")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert _percentile(sizes, 0.9) <= MOST_LINES_OF_NINE_FUNCTIONS_IN_TEN


def test_imports_have_no_circle() -> None:
    graph = {module: set(_imported(module)) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
