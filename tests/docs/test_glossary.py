"""The glossary: each word once, and each with a name of the code that exists."""

import re
from collections import Counter
from pathlib import Path

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


_ROOT = Path(__file__).parents[2]
_ARABIC = re.compile(r"[\u0621-\u064a]")
_OTHER_WORDS = re.compile(
    # For a card, a provider, a job, a daemon's sign of life, a call, an operator's suspension, and what a thing costs.
    r"(?<![\u0600-\u06ff])كا?رت|جيجا|معالجات? (?:ال)?رسوم|مزوّد|موفّر الجهاز|وظيفة|الوظائف|نبضة القلب|نداءات|النداء|نداؤ"
    r"|موقوف|تكلف(?:ة|ت[هك])"
    # For whoever calls, which reads as a pupil; for a renter, an operator, the queue, a payout and a webhook.
    r"|(?:ال|لل)طالب|زبون|زبائن|مشرف|مشغل[وي]ن|قائمة الانتظار|صُرف|هوك"
    # One spelling of what ends in -an.
    r"|ا\u064b"
)
"""What the Arabic texts do not call the things of the glossary."""


def test_arabic_texts_have_one_word_for_one_thing() -> None:
    written = [
        path for kind in ("py", "js", "yaml") for root in ("src", "web") for path in (_ROOT / root).rglob(f"*.{kind}")
    ]
    found = {
        f"{path.relative_to(_ROOT)}: {word}"
        for path in (*written, _ROOT / "docs/glossary.md")
        if _ARABIC.search(text := path.read_text(encoding="utf-8"))
        for word in _OTHER_WORDS.findall(text)
    }

    assert found == set()
