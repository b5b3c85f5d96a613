"""Whose runs are over in no time where others work for long."""

import random
import time
from collections import Counter

import pytest

from dc1.domain.providers.short_runs import RunTimes, Whole, too_short


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


def test_what_is_usual_elsewhere_is_that_of_everybody_else_counted_by_itself() -> None:
    chance = random.Random(7)
    work = {provider_id: RunTimes() for provider_id in range(5)}
    for _ in range(300):
        milliseconds = round(chance.lognormvariate(chance.choice((4, 11)), 1))
        work[chance.randrange(5)].add(chance.randrange(9), milliseconds)
    for provider_id, times in work.items():
        others = RunTimes()
        for other_id, each in work.items():
            for renter_id, runs in each.by_renter.items() if other_id != provider_id else ():
                others.by_renter.setdefault(renter_id, Counter()).update(runs)
        assert Whole(work.values()).usual_ms_without(times) == others.usual_ms


def test_a_large_market_is_judged_without_counting_all_of_it_for_each_machine() -> None:
    """Three hundred machines with two hundred runs each took a minute."""
    chance = random.Random(1)
    work = {provider_id: RunTimes() for provider_id in range(300)}
    for times in work.values():
        for _ in range(200):
            times.add(chance.randrange(1000), round(chance.lognormvariate(9.5, 1)))
    began = time.process_time()
    assert list(too_short(work)) == []
    assert time.process_time() - began < 15


def test_what_is_forgotten_counts_no_more() -> None:
    times = taking(1, 1, 1, 1)
    times.forget(taking(1))
    assert list(too_short({1: times, 2: USUAL})) == []
