"""What is left of a limit a minute."""

from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.access.allowance import Allowance

MINUTE_MS = 60_000


@given(
    st.integers(1, 10_000),
    st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 50)), min_size=1, max_size=60),
)
def test_no_more_is_used_than_the_limit_and_what_came_back(limit: int, asked: list[tuple[int, int]]) -> None:
    allowance, now_ms, used = Allowance(limit, limit, 0), 0, 0.0
    for passed_ms, amount in asked:
        now_ms += passed_ms
        allowance.refill(limit, now_ms)
        if allowance.wait_ms(amount):
            continue
        allowance.left -= amount
        used += amount
        # An amount that is more than the limit passes when all of it is there, and is owed.
        assert used <= limit + limit * now_ms / MINUTE_MS + max(0, amount - limit) + 1e-6


@given(st.integers(1, 10_000), st.integers(0, 20_000), st.integers(1, 20_000))
def test_who_waits_as_told_is_let_in(limit: int, used: int, amount: int) -> None:
    allowance = Allowance(limit, limit - used, 0)
    allowance.refill(limit, allowance.wait_ms(amount))
    # A thousandth of a millisecond's worth may be lost to binary fractions.
    assert allowance.wait_ms(amount) <= 1


def test_another_limit_leaves_its_part() -> None:
    allowance = Allowance(100, 50, 0)
    allowance.refill(10, 0)
    assert (allowance.limit, allowance.left) == (10, 5)
    assert Allowance(0, 0, 0).wait_ms(1) == MINUTE_MS


def test_whoever_was_not_limited_before_begins_with_all_of_it() -> None:
    allowance = Allowance(0, -3, 0)
    allowance.refill(60, 0)
    assert (allowance.left, allowance.wait_ms(60)) == (60, 0)
