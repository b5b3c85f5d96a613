import random

from hypothesis import given
from hypothesis import strategies as st

from dc1.daemon.connection.connection import CAP_SECONDS, Backoff


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
