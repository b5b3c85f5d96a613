"""The catalogue of faults is whole, and the tests that it names exist."""

import re

from tests.docs.pages import ROOT

PARTS = (
    *("Envoy", "Server", "Replica", "Database", "Disk", "Log", "Clock", "DNS", "TLS certificate", "Proxy", "Daemon"),
    *("Engine", "Queue of calls", "Container engine", "Driver", "Card"),
)
FAULTS = ("slow", "gone", "back", "wrong answer", "full")
UNTESTED, IMPOSSIBLE = "none yet", "cannot be"


def cells() -> dict[tuple[str, str], list[str]]:
    """What is seen, lost, done and shown, by part and fault."""
    found = {}
    for section in (ROOT / "docs/faults.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        part = section.partition("\n")[0]
        for line in section.splitlines():
            columns = [column.strip() for column in line.strip("|").split("|")]
            if columns[0] in FAULTS:
                found[part, columns[0]] = columns[1:]
    return found


def test_every_part_may_fail_in_every_way() -> None:
    assert list(cells()) == [(part, fault) for part in PARTS for fault in FAULTS]
    for cell, columns in cells().items():
        *told, test = columns
        assert all(told) or (test == IMPOSSIBLE and told[0]), cell


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs/faults.md").read_text(encoding="utf-8"))
    assert len(named) >= len([test for *_, test in cells().values() if test not in (UNTESTED, IMPOSSIBLE)])
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), name


def test_at_most_a_tenth_goes_without_a_test() -> None:
    tests = [test for *_, test in cells().values()]
    assert tests.count(UNTESTED) * 10 <= len(tests) - tests.count(IMPOSSIBLE)
