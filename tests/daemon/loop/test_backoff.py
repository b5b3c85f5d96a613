import random

from hypothesis import given
from hypothesis import strategies as st

from dc1.daemon.connection.backoff import CAP_SECONDS, FIRST_SECONDS, MOST_TOLD_SECONDS, Backoff, seconds_told


def test_ceiling_doubles_from_a_fifth_of_a_second_to_five_and_starts_over() -> None:
    backoff = Backoff(uniform=lambda low, high: high)
    assert [backoff.next() for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.reset()
    assert backoff.next() == 0.2


@given(st.integers(), st.integers(min_value=1, max_value=50))
def test_waits_stay_within_bounds(seed: int, attempts: int) -> None:
    backoff = Backoff(random.Random(seed).uniform)
    assert all(0.0 <= backoff.next() <= CAP_SECONDS for _ in range(attempts))


@given(st.integers())
def test_two_daemons_do_not_come_back_together(seed: int) -> None:
    one, other = (Backoff(random.Random(f"{seed} {name}").uniform) for name in ("one", "other"))
    assert [one.next() for _ in range(4)] != [other.next() for _ in range(4)]


def test_a_fleet_that_lost_its_server_comes_back_over_as_long_as_that_had_said() -> None:
    backoff = Backoff(uniform=lambda low, high: high)
    assert [backoff.next(10.0), backoff.next(10.0), backoff.next(), backoff.next(1e9)] == [10.0, 10.0, 0.8, 60.0]
    assert Backoff(uniform=lambda low, high: high).next(0.001) == 0.2, "a few come at once"
    assert backoff.next(float("nan")) <= MOST_TOLD_SECONDS


def test_whose_turn_it_is_says_the_edge() -> None:
    assert seconds_told((("x", "1"), ("retry-after-ms", "1500"))) == 1.5
    assert seconds_told((("retry-after-ms", "9" * 5000),)) == MOST_TOLD_SECONDS
    assert seconds_told((("retry-after-ms", "0"),)) == FIRST_SECONDS, "nobody has a daemon ask without pause"
    assert [seconds_told(each) for each in (None, (), (("retry-after-ms", "soon"),), (("retry-after-ms", b"1"),))] == [
        None
    ] * 4


def test_who_lost_what_it_was_told_waits_as_long_as_the_last_time() -> None:
    """gRPC loses the end of a quarter of the calls that are turned away: each of them came again within 2.5 s."""
    backoff = Backoff(uniform=lambda low, high: high)
    assert backoff.next(is_lost=True) == 0.2
    assert [backoff.next(told=7.0), backoff.next(is_lost=True), backoff.next(is_lost=True)] == [7.0, 7.0, 7.0]
    assert [backoff.next(), backoff.next(is_lost=True)] == [0.4, 0.8]
    assert [backoff.next(told=0.001), backoff.next(is_lost=True)] == [0.001, FIRST_SECONDS]
