"""Reputation."""

import pytest

from dc1.domain.reputation import reputation


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
