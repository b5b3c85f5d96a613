"""Budgets that come back with time: what is taken is owed, and so much of it is forgiven a second."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

_FEWEST_LOOKED_AT = 64


@dataclass(frozen=True, slots=True)
class Flow:
    """How much may be taken at once, and how much a second after that, in units of the budget's own."""

    at_once: float
    a_second: float


class LeakyBucket:
    """What is owed of a flow; `now` tells seconds of any monotonic clock."""

    def __init__(self, flow: Flow, now: Callable[[], float] = time.monotonic) -> None:
        self._flow = flow
        self._now = now
        self._owed = 0.0
        self._counted_at = now()

    @property
    def owed(self) -> float:
        """What was taken and is not forgiven yet."""
        now = self._now()
        self._owed = max(0.0, self._owed - (now - self._counted_at) * self._flow.a_second)
        self._counted_at = now
        return self._owed

    def take(self, size: float) -> None:
        """Count what is taken, also where there is no room: whoever comes next waits for it."""
        self._owed = self.owed + size

    def wait_seconds(self, size: float = 0) -> float:
        """Return for how long there is no room for so much, 0 when there is now."""
        # What is larger than all that there is at once is let in when nothing is owed.
        over = self.owed + min(size, self._flow.at_once) - self._flow.at_once
        return max(0.0, over / self._flow.a_second)


K = TypeVar("K", bound=Hashable)


class LeakyBuckets(Generic[K]):
    """One bucket of a flow for each who owes something; of nobody else is anything kept."""

    def __init__(self, flow: Flow, now: Callable[[], float] = time.monotonic) -> None:
        self._flow = flow
        self._now = now
        self._of: dict[K, LeakyBucket] = {}
        self._looked_at = _FEWEST_LOOKED_AT

    def __len__(self) -> int:
        return len(self._of)

    def take(self, who: K, size: float) -> None:
        """Count what somebody takes."""
        bucket = self._of.get(who)
        if bucket is None:
            self._forget_paid()
            bucket = self._of[who] = LeakyBucket(self._flow, self._now)
        bucket.take(size)

    def wait_seconds(self, who: K, size: float = 0) -> float:
        """Return for how long there is no room for so much of somebody's, 0 when there is now."""
        bucket = self._of.get(who)
        return 0.0 if bucket is None else bucket.wait_seconds(size)

    def _forget_paid(self) -> None:
        # Only when they are twice as many as were left the last time, so that a look costs each that comes next to
        # nothing: thousands of daemons may come back in a second.
        if len(self._of) < self._looked_at:
            return
        self._of = {who: bucket for who, bucket in self._of.items() if bucket.owed}
        self._looked_at = max(_FEWEST_LOOKED_AT, 2 * len(self._of))
