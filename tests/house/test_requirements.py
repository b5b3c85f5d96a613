"""What an installation has, with an extra or without, is enough for what it is for."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

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
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    required = {re.split(r"[\[><=]", line)[0].lower() for line in lines}
    distributions = packages_distributions()
    sources = [path for path in (ROOT / "src/dc1").rglob("*.py") if "codegen" not in path.parts]
    missing = {
        f"{source.relative_to(ROOT)}: {name}"
        for source in sources
        for name in _imported_at_once(source) - _GENERATED - set(sys.stdlib_module_names)
        if not required & {found.lower().replace("_", "-") for found in distributions.get(name, [])}
    }
    assert not missing


# As where nothing else is installed: a finder before all others.
_ALONE = """
import sys
from importlib import import_module

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent, modules = set(sys.argv[1].split()), sys.argv[2:]
sys.meta_path.insert(0, Absent())
for module in modules:
    import_module(module)
from dc1.cli.app import app
app(["up"])
"""


@pytest.mark.parametrize(
    ("lock", "rooms"),
    [
        ("client", ["cli/renter", "cli/provider", "cli/admin"]),
        ("daemon", ["cli/renter", "daemon", "domain/jobs", "domain/probe"]),
    ],
)
def test_a_part_runs_with_what_its_lock_installs_and_says_what_others_need(lock: str, rooms: list[str]) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9][\w.-]*)==", text, re.MULTILINE))
    absent = {
        name
        for name, distributions in packages_distributions().items()
        if not locked & {found.lower().replace("_", "-") for found in distributions} and name not in _GENERATED
    }
    modules = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for room in rooms
        for path in sorted((ROOT / "src/dc1" / room).rglob("*.py"))
        # Programs, which run when they are imported.
        if not path.stem.startswith("__main__") and "programs" not in path.parts
    ]
    command = [sys.executable, "-c", _ALONE, " ".join(absent), *modules]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    assert re.search(
        r"`dc1 up` needs more than is installed \(\w+\): pip install 'dc1\[server\]' brings it\.", run.stderr
    )
