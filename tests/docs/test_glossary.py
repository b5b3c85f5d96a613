"""The glossary: each word once, and each with a name of the code that exists."""

from collections import Counter

from tests.docs.code_names import is_file, names
from tests.docs.pages import page

_PAGE = page("docs/glossary.md")
_ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for heading in ("The market", "Jobs", "The server", "The daemon")
    for row in _PAGE.table_rows(heading)
]


def test_every_word_stands_once() -> None:
    words = Counter(row[0] for row in _ROWS)

    assert len(words) >= 40
    assert [word for word, count in words.items() if count > 1] == []


def test_no_name_of_the_code_stands_for_two_words() -> None:
    assert [name for name, count in Counter(row[-1] for row in _ROWS).items() if count > 1] == []


def test_the_names_of_the_code_exist() -> None:
    told = [row[-1].strip("`") for row in _ROWS]

    assert [name for name in told if not (is_file(name) if "/" in name else names().knows(name))] == []
