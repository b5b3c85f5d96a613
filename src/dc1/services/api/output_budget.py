"""How much of large outputs is handed out, as nobody hears when it was taken.

An output says its text three times, and the edge takes all of it from here at once, whether its reader reads or not: so
what counts is how much is handed out in the time for which the edge keeps what is not read.
"""

import time
from collections.abc import Callable
from math import ceil

from dc1.domain.base.leaky_bucket import Flow, LeakyBucket, LeakyBuckets
from dc1.domain.errors import rate_limit_exceeded, service_unavailable

# Of less any number may be read: what the rate limits let pass of it is little.
_LARGE_CHARACTERS = 256 * 1024

# Characters. Of one account two of the largest at once, then one in five seconds. The edge keeps what nobody reads for
# 30 s: three times what all are given in it is below the 1 GiB that Envoy may take.
_OF_ACCOUNT = Flow(24 * 1024 * 1024, 2 * 1024 * 1024)
_OF_ALL = Flow(64 * 1024 * 1024, 6 * 1024 * 1024)


class OutputBudget:
    """Characters of large outputs, by account and in all. Owned by the event loop."""

    def __init__(self, *, enabled: bool, now: Callable[[], float] = time.monotonic) -> None:
        """Make a full budget; `now` tells seconds of any monotonic clock."""
        self._enabled = enabled
        self._all = LeakyBucket(_OF_ALL, now)
        self._accounts: LeakyBuckets[str] = LeakyBuckets(_OF_ACCOUNT, now)

    def is_large(self, characters: int) -> bool:
        """Tell whether an output of so many characters is counted."""
        return self._enabled and characters > _LARGE_CHARACTERS

    def spend(self, account: str, characters: int) -> None:
        """Count a large output that an account is about to be given.

        Raises:
            rate_limit_exceeded: it is too much for the account.
            service_unavailable: it is too much in all.
        """
        if wait := ceil(self._accounts.wait_seconds(account, characters)):
            raise rate_limit_exceeded(wait)
        if wait := ceil(self._all.wait_seconds(characters)):
            raise service_unavailable(wait)
        self._accounts.take(account, characters)
        self._all.take(characters)
