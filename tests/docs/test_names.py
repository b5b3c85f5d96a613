"""Every module, class, function and file that the pages name exists."""

import re

import pytest

from tests.docs.code_names import is_file, names
from tests.docs.pages import Page, pages

# The contract speaks of the API, not of the code; the changelog of what was, too.
_OF_THE_CODE = [each for each in pages() if str(each) not in ("docs/contract.md", "CHANGELOG.md")]
_FILE = re.compile(r"^(?!/)[\w./-]+(/|\.(py|js|css|lua|yaml|proto|md|sh|mjs|service|toml))$")
_IN_FILE = re.compile(r"^([\w/]+)\.([A-Za-z_]\w*)(\(\))?$")
_NAME = re.compile(r"^_?[A-Za-z]\w*(\.\w+)*\(\)$|^[A-Z][A-Za-z]*[a-z]+[A-Za-z]*(\.\w+)?$")
_CALLED = re.compile(r"([A-Za-z_][\w.]*)\(\)")
_PARTICIPANT = re.compile(r"^\s*(?:participant|actor) \w+ as ([\w/.]+\.(?:py|lua|yaml))", re.MULTILINE)

# Words between backticks that look like names of the code and are none.
_OTHERS = {
    *("Accept", "Authorization", "Deprecation", "Link", "Origin", "Idempotency-Key"),
    *("NameError", "NaN", "Bearer"),
    # Of a library that is vendored.
    "h()",
}


@pytest.mark.parametrize("page", _OF_THE_CODE, ids=str)
def test_files_exist(page: Page) -> None:
    told = [code for code in page.code if _FILE.match(code)] + [
        name for block in page.blocks for name in _PARTICIPANT.findall(block.text)
    ]

    assert [name for name in told if not is_file(name)] == []


@pytest.mark.parametrize("page", _OF_THE_CODE, ids=str)
def test_names_exist(page: Page) -> None:
    told = [code for code in page.code if _NAME.match(code) and code not in _OTHERS]
    told += [name for block in page.blocks if block.language == "mermaid" for name in _CALLED.findall(block.text)]

    assert [name for name in dict.fromkeys(told) if not names().knows(name)] == []


@pytest.mark.parametrize("page", _OF_THE_CODE, ids=str)
def test_names_in_files_exist(page: Page) -> None:
    wrong = []
    for code in page.code:
        found = _IN_FILE.match(code)
        if found and "/" in code[1:] and not code.startswith("/") and not is_file(code):
            module = found[1].rpartition("/")[2]
            if not is_file(f"{found[1]}.py") or not names().knows(f"{module}.{found[2]}"):
                wrong.append(code)

    assert wrong == []
