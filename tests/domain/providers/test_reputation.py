"""Reputation."""

import pytest

from dc1.domain.base.clock import DAY_MS
from dc1.domain.providers.reputation import NO_RUNS, RunRecord, reputation, tier, weight_at

NOW = 1_774_206_000_000
WEEK = 7 * DAY_MS


def record(completed: int, failed: int, at_ms: int = NOW) -> RunRecord:
    return RunRecord(completed * weight_at(at_ms), failed * weight_at(at_ms), completed + failed)


@pytest.mark.parametrize(
    ("completed", "failed", "heartbeats", "days", "expected"),
    [
        (0, 0, 0, 0, 70),
        (10, 0, 20_160, 30, 100),
        (10, 0, 50_000, 400, 100),
        (0, 5, 0, 0, 0),
        (1, 1, 10_080, 15, 50),
        (0, 5, 0, 15, 5),
        (0, 5, 504, 0, 1),
        # Held against two runs at least: one failure is not all that there is to say of a provider.
        (0, 1, 0, 0, 35),
        (1, 1, 0, 0, 35),
        (9, 1, 0, 0, 63),
    ],
)
def test_score(completed: int, failed: int, heartbeats: int, days: int, expected: int) -> None:
    assert reputation(record(completed, failed), heartbeats, days, NOW) == expected


def test_failures_fade_by_half_in_a_week() -> None:
    failing = record(0, 5)
    assert [reputation(failing, 0, 0, NOW + weeks * WEEK) for weeks in range(4)] == [0, 35, 53, 61]


def test_newer_runs_weigh_more() -> None:
    """Ten of last week count as five of today."""
    older_failures = record(0, 10, NOW - WEEK).plus(record(5, 0))
    assert reputation(older_failures, 0, 0, NOW) == 35
    assert round(older_failures.success_percent) == 50


def test_a_completed_run_never_lowers_the_score() -> None:
    failing = record(0, 3)
    later = NOW + WEEK
    assert reputation(failing.plus(record(1, 0, later)), 0, 0, later) >= reputation(failing, 0, 0, later)


@pytest.mark.parametrize("at_ms", [0, NOW + 30 * 365 * DAY_MS])
def test_far_times_are_weighed_as_well(at_ms: int) -> None:
    assert reputation(record(0, 5, at_ms), 0, 0, at_ms) == 0
    assert reputation(NO_RUNS, 0, 0, at_ms) == 70


@pytest.mark.parametrize(
    ("score", "ended_runs", "expected"),
    [(100, 9, "new"), (90, 10, "top"), (89, 10, "reliable"), (60, 10, "reliable"), (59, 500, "new"), (0, 0, "new")],
)
def test_tiers(score: int, ended_runs: int, expected: str) -> None:
    assert tier(score, ended_runs) == expected
