"""What may be spent in a UTC month, by a renter or by one scoped key, and of which parts of it the renter is told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

# Of a budget, at which a renter is told. What was told is kept by place in this list, so new ones go to its end.
THRESHOLDS_PERCENT = (80, 100)

# How much the clocks of replicas may differ.
_CLOCKS_APART_MS = 600_000


@dataclass(frozen=True, slots=True)
class MonthlyBudget:
    """A month's limit, what of it is used, and of which thresholds the renter was told in that month.

    `limit_halala` is None where there is none. `told` has a bit for each of THRESHOLDS_PERCENT.
    """

    limit_halala: int | None
    used_halala: int = 0
    told: int = 0

    def admits(self, cost_halala: int) -> bool:
        """Tell whether an order fits what is left."""
        return self.limit_halala is None or self.used_halala + cost_halala <= self.limit_halala

    def with_order(self, cost_halala: int) -> Self:
        """Return the budget after an order."""
        return replace(self, used_halala=self.used_halala + cost_halala)

    def news(self) -> list[int]:
        """Return the thresholds that are reached and were not told of, in percent."""
        limit = self.limit_halala
        # A limit of nothing is reached before anything was ordered, which is no news.
        if not limit:
            return []
        return self._untold(percent for percent in THRESHOLDS_PERCENT if self.used_halala * 100 >= limit * percent)

    def news_of_refusal(self) -> list[int]:
        """Return what to tell when an order did not fit: for whoever ordered, the month is over."""
        return self._untold((100,))

    def _untold(self, percents: Iterable[int]) -> list[int]:
        return [percent for percent in percents if not self.told & _bit(percent)]

    def having_told(self, percents: Iterable[int]) -> Self:
        """Return the budget once the renter was told of these thresholds."""
        told = self.told
        for percent in percents:
            told |= _bit(percent)
        return replace(self, told=told)


def _bit(percent: int) -> int:
    return 1 << THRESHOLDS_PERCENT.index(percent)


def period_start_ms(start_ms: int, stored_ms: int, now_ms: int) -> int:
    """Return when the running day or month began: `start_ms`, unless a replica whose clock is ahead has begun it.

    It must not begin twice. What is far ahead was written by a clock that was wrong, and is no reason to wait until it
    comes.
    """
    return stored_ms if start_ms < stored_ms <= now_ms + _CLOCKS_APART_MS else start_ms
