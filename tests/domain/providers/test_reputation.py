"""Reputation."""

import pytest

from dc1.domain.providers.reputation import reputation, tier


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
    ],
)
def test_score(completed: int, failed: int, heartbeats: int, days: int, expected: int) -> None:
    assert reputation(completed, failed, heartbeats, days) == expected


@pytest.mark.parametrize(
    ("score", "ended_runs", "expected"),
    [(100, 9, "new"), (90, 10, "top"), (89, 10, "reliable"), (60, 10, "reliable"), (59, 500, "new"), (0, 0, "new")],
)
def test_tiers(score: int, ended_runs: int, expected: str) -> None:
    assert tier(score, ended_runs) == expected
