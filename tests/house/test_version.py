"""The version of the package: one number, wherever it is said."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_number_is_said_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    documented = re.search(r"^  version: (\S+)$", (ROOT / "gen/openapi.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert documented
    assert documented[1] == project["version"]
    assert version("dc1") == project["version"], "installed before the version changed: run `make venv`"
