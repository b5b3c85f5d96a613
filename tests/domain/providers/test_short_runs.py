"""Whose runs are over in no time where others work for long."""

import pytest

from dc1.domain.providers.short_runs import RunTimes, too_short


def taking(*seconds: float, renters: int = 6) -> RunTimes:
    """Each of the renters had runs that took so long."""
    times = RunTimes()
    for renter_id in range(renters):
        for each in seconds:
            times.add(renter_id, round(each * 1000))
    return times


USUAL = taking(60, 90, 120, 150)


@pytest.mark.parametrize(
    ("times", "found"),
    [
        (taking(0.4, 1, 1, 2), [1]),
        # A card that is forty times as fast, and one that is used for what is mostly soon done.
        (taking(1.5, 2.2, 3, 3.7), []),
        (taking(1, 1, 90, 120), []),
        # One renter whose program ends at once, and too few renters or runs.
        (taking(60, 90, 120), []),
        (taking(1, 1, 1, 1, renters=4), []),
        (taking(1, 1, 1, renters=6), []),
    ],
)
def test_who_is_done_at_once_with_what_takes_others_long_stands_out(times: RunTimes, found: list[int]) -> None:
    assert list(too_short({1: times, 2: USUAL, 3: USUAL})) == found


def test_one_renter_makes_nobody_stand_out_by_how_much_it_orders() -> None:
    times = taking(60, 90, 120)
    for _ in range(500):
        times.add(99, 300)
    assert list(too_short({1: times, 2: USUAL})) == []


def test_what_is_short_everywhere_or_done_nowhere_else_tells_nothing() -> None:
    assert list(too_short({1: taking(0.1, 0.1, 0.1, 0.1), 2: taking(20, 20, 20, 20)})) == []
    assert list(too_short({1: taking(1, 1, 1, 1)})) == []


def test_what_is_forgotten_counts_no_more() -> None:
    times = taking(1, 1, 1, 1)
    times.forget(taking(1))
    assert list(too_short({1: times, 2: USUAL})) == []
