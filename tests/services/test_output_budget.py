"""How much of large outputs an account and all of them are given."""

import pytest

from dc1.domain.errors import ApiError
from dc1.services.api.output_budget import OutputBudget

LARGEST = 10 * 1024 * 1024


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


def refusal(budget: OutputBudget, account: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        budget.spend(account, LARGEST)
    return caught.value


def test_an_account_is_given_two_of_the_largest_and_more_as_time_passes() -> None:
    seconds = Seconds()
    budget = OutputBudget(enabled=True, now=seconds)
    for _ in range(2):
        budget.spend("renter:1", LARGEST)
    error = refusal(budget, "renter:1")
    assert (error.status, error.retry_after_seconds) == (429, 3)
    budget.spend("renter:2", LARGEST)
    seconds.passed += 3
    budget.spend("renter:1", LARGEST)
    assert refusal(budget, "renter:1").status == 429


def test_all_together_are_given_so_much() -> None:
    seconds = Seconds()
    budget = OutputBudget(enabled=True, now=seconds)
    for number in range(6):
        budget.spend(f"renter:{number}", LARGEST)
    error = refusal(budget, "renter:7")
    assert (error.status, error.retry_after_seconds) == (503, 1)
    # What was refused to one is not counted for it.
    seconds.passed += 1
    for _ in range(2):
        seconds.passed += 2
        budget.spend("renter:7", LARGEST)


def test_what_is_larger_than_all_there_is_at_once_is_given_when_nothing_is_owed() -> None:
    seconds = Seconds()
    budget = OutputBudget(enabled=True, now=seconds)
    budget.spend("renter:1", 10 * LARGEST)
    assert refusal(budget, "renter:1").status == 429
    seconds.passed += 60
    budget.spend("renter:1", 10 * LARGEST)


def test_little_is_not_counted_nor_anything_without_limits() -> None:
    assert OutputBudget(enabled=True).is_large(LARGEST)
    assert not OutputBudget(enabled=True).is_large(100_000)
    assert not OutputBudget(enabled=False).is_large(LARGEST)
