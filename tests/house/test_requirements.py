"""What an installation without extras has is enough for every module that is imported when one starts."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
_GENERATED = {"dcp", "buf", "dc1"}


def _imported_at_once(source: Path) -> set[str]:
    """The top-level packages that a module imports when it is imported itself."""
    names: set[str] = set()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_every_package_that_is_imported_at_once_is_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[\[><=]", line)[0].lower() for line in project["dependencies"]}
    distributions = packages_distributions()
    sources = [path for path in (ROOT / "src/dc1").rglob("*.py") if "codegen" not in path.parts]
    missing = {
        f"{source.relative_to(ROOT)}: {name}"
        for source in sources
        for name in _imported_at_once(source) - _GENERATED - set(sys.stdlib_module_names)
        if not required & {found.lower().replace("_", "-") for found in distributions.get(name, [])}
    }
    assert not missing
