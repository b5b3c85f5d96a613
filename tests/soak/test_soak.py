"""A soak of seconds, and what the verdict calls a failure. A long one is `make soak`."""

import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.verdict import Found
from tests.soak.meter import Trend, trend
from tests.soak.soak import Scale, soak
from tests.soak.verdict import DAEMONS, EDGE, SERVER, failures
from tests.soak.witness import Witness

GOOD = Found([], Counter(completed=2), 2, 0, [1.0, 1.0])
NAMES = (SERVER, EDGE, DAEMONS)
FLAT = {name: Trend(150.0, 1.0, 6.7) for name in NAMES}
LOG = '{"event": "serving", "level": "info"}\n'
LOGS = dict.fromkeys(NAMES, LOG)


@pytest.fixture
def seed() -> int:
    """Another one each time; DC1_SOAK_SEED repeats one."""
    return int(os.environ.get("DC1_SOAK_SEED") or random.randrange(1_000_000))


def test_a_market_stays_as_it_was(tmp_path: Path, seed: int) -> None:
    report = soak(tmp_path, Scale(seconds=15, http_daemons=10, stream_daemons=10, renters=8), seed)
    print(report)
    assert report.failures == []
    assert report.found.statuses["completed"] > 0
    assert report.streams["ended"] > 0
    assert json.loads(json.dumps(report.numbers))["jobs"] == dict(report.found.statuses)


@pytest.fixture
def witness() -> Witness:
    witness = Witness()
    witness.acknowledged |= {1, 2}
    return witness


def judged(
    witness: Witness,
    found: Found = GOOD,
    stored: tuple[int, ...] = (1, 2),
    open_jobs: int = 0,
    memory: dict[str, Trend] = FLAT,
    files: dict[str, Trend] = FLAT,
    logs: dict[str, str] = LOGS,
) -> list[str]:
    return list(failures(witness, found, set(stored), open_jobs, memory, files, logs))


def test_nothing_is_wrong_with_a_good_run(witness: Witness) -> None:
    assert judged(witness, logs={**LOGS, SERVER: LOG + "The server runs until Ctrl-C\n"}) == []


@pytest.mark.parametrize("name", NAMES)
def test_memory_that_grows_is_a_failure(witness: Witness, name: str) -> None:
    (failure,) = judged(witness, memory={**FLAT, name: Trend(200.0, 40.0, 6.7)})
    assert failure == f"the memory of {name} grew by 40.0 MiB after the warm-up"


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_not_closed_are_a_failure(witness: Witness, name: str) -> None:
    (failure,) = judged(witness, files={**FLAT, name: Trend(700.0, 300.0, 6.7)})
    assert failure == f"{name} had 300 more files open after the warm-up"


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "failed", "level": "error"}',
        '{"event": "odd", "level": "warning", "exception": "Traceback"}',
        "Traceback (most recent call last):",
        "ResourceWarning: unclosed transport",
        "E0000 00:00:1795484435.249 1 chttp2_transport.cc:1] broken",
        "[2026-03-22 19:00:10.123][4711][error][lua] [source/extensions/filters/http/lua/lua_filter.cc:1] script log",
    ],
)
def test_an_error_in_a_log_is_a_failure(witness: Witness, line: str) -> None:
    for name in NAMES:
        assert judged(witness, logs={**LOGS, name: LOG + line}) == [f"1 lines of trouble in the log of {name}: {line}"]


def test_streams_that_break_are_a_failure(witness: Witness) -> None:
    broken = {**LOGS, DAEMONS: '{"event": "not_connected", "level": "warning"}'}
    assert judged(witness, logs=broken) == ["1 streams of daemons broke"]


def test_jobs_that_are_lost_or_open_and_books_that_differ_are_failures(witness: Witness) -> None:
    assert judged(witness, stored=(2, 3), open_jobs=1, found=replace(GOOD, problems=["1 halala is missing"])) == [
        "1 jobs have not ended",
        "1 acknowledged jobs are not stored, 1 stored jobs were acknowledged to nobody",
        "the books: 1 halala is missing",
    ]


def test_an_unexpected_answer_is_a_failure(witness: Witness) -> None:
    witness.complain("GET /: 503")
    assert judged(witness) == ["1 unexpected answers: GET /: 503"]


def test_growth_is_counted_after_the_warm_up() -> None:
    steep = [(float(second), 100.0 + min(second, 20)) for second in range(61)]
    assert trend(steep).growth == pytest.approx(0.0)
    leak = [(float(second), 100.0 + second / 2) for second in range(61)]
    assert trend(leak).growth == pytest.approx(20.0)
    assert trend(leak).minutes == pytest.approx(40 / 60)
    assert trend([(0.0, 100.0)]).growth == 0.0
