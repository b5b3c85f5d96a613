"""The changelog speaks of this version, and its table of gRPC methods leads to methods that there are."""

import re
import tomllib

from tests.docs.code_names import messages
from tests.docs.pages import ROOT, page

_PAGE = page("CHANGELOG.md")


def test_the_newest_entry_is_this_version_s() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    assert re.findall(r"^## \[([^\]]+)\]", _PAGE.text, re.MULTILINE)[0] == version


def test_methods_are_where_the_table_says_and_no_more_where_they_were() -> None:
    rows = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in _PAGE.table_rows("Changed")]
    moved = [(was, now, name) for was, now, names in rows for name in names.split(", ")]

    assert [f"{now}/{name}" for _, now, name in moved if f"{now}.{name}" not in messages()] == []
    assert [f"{was}/{name}" for was, _, name in moved if f"{was}.{name}" in messages()] == []
