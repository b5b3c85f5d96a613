"""What a daemon says is searched once, whatever it repeats: nobody else's call goes on meanwhile."""

import time
from itertools import product

import pytest

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.results import parse_result

_MOST_SECONDS = 1.0


@pytest.mark.parametrize(
    ("lead", "repeated", "end"),
    [
        *product(["exit", "exited with", "exit code:"], [" ", "\n", "_", "- ", " with", "="], ["x"]),
        ("", "exit ", ""),
        ("", "exit code - ", "1"),
        ("model '", "'", "x"),
        ("", "1", "x"),
    ],
)
def test_errors_are_read_in_time(lead: str, repeated: str, end: str) -> None:
    said = lead + repeated * (50_000 // len(repeated)) + end
    began = time.thread_time()
    assert not AttemptReport.read(completed=False, error=said).completed
    assert time.thread_time() - began < _MOST_SECONDS


@pytest.mark.parametrize("end", ["", '"', "\\\n", "\\"])
@pytest.mark.parametrize("repeated", ['\\"', '"\\', '"', '["', '{"\\"', "[ ", '","'])
def test_results_are_read_in_time(repeated: str, end: str) -> None:
    sent = "," * 200_000 + repeated * (50_000 // len(repeated)) + end
    began = time.thread_time()
    assert parse_result(sent) == sent
    assert time.thread_time() - began < _MOST_SECONDS
