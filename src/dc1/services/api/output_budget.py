"""How much of large outputs is handed out, as nobody hears when it was taken.

An output says its text three times, and the edge takes all of it from here at once, whether its reader reads or not: so
what counts is how much is handed out in the time for which the edge keeps what is not read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from dc1.domain.errors import rate_limit_exceeded, service_unavailable

# Of less any number may be read: what the rate limits let pass of it is little.
_LARGE_CHARACTERS = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Rate:
    at_once: int
    a_second: int


# Of one account two of the largest at once, then one in five seconds. The edge keeps what nobody reads for 30 s: three
# times what all are given in it is below the 1 GiB that Envoy may take.
_OF_ACCOUNT = _Rate(24 * 1024 * 1024, 2 * 1024 * 1024)
_OF_ALL = _Rate(64 * 1024 * 1024, 6 * 1024 * 1024)


@dataclass(slots=True)
class _Bucket:
    rate: _Rate
    owed: float = 0.0
    counted_at: float = 0.0

    def wait(self, characters: int, now: float) -> int:
        """Return after how many seconds there is room for so many characters, 0 for now."""
        self.owed = max(0.0, self.owed - (now - self.counted_at) * self.rate.a_second)
        self.counted_at = now
        # What is larger than all that there is at once is let in when nothing is owed.
        over = self.owed + min(characters, self.rate.at_once) - self.rate.at_once
        return max(0, ceil(over / self.rate.a_second))


class OutputBudget:
    """Characters of large outputs, by account and in all. Owned by the event loop."""

    def __init__(self, *, enabled: bool, now: Callable[[], float] = time.monotonic) -> None:
        """Make a full budget; `now` tells seconds of any monotonic clock."""
        self._enabled = enabled
        self._now = now
        self._all = _Bucket(_OF_ALL)
        self._accounts: dict[str, _Bucket] = {}

    def is_large(self, characters: int) -> bool:
        """Tell whether an output of so many characters is counted."""
        return self._enabled and characters > _LARGE_CHARACTERS

    def spend(self, account: str, characters: int) -> None:
        """Count a large output that an account is about to be given.

        Raises:
            rate_limit_exceeded: it is too much for the account.
            service_unavailable: it is too much in all.
        """
        now = self._now()
        mine = self._accounts.get(account) or _Bucket(_OF_ACCOUNT)
        if wait := mine.wait(characters, now):
            raise rate_limit_exceeded(wait)
        if wait := self._all.wait(characters, now):
            raise service_unavailable(wait)
        mine.owed += characters
        self._all.owed += characters
        self._accounts[account] = mine
        self._forget_paid(now)

    def _forget_paid(self, now: float) -> None:
        # Few at any time: each owes at least one large output, of which all together have so many characters.
        for account, bucket in list(self._accounts.items()):
            bucket.wait(0, now)
            if not bucket.owed:
                del self._accounts[account]
