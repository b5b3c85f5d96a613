"""How much of large answers is handed out, as nobody hears when they were taken.

The edge takes all of an answer from here at once, whether its reader reads or not, and an output says its text three
times: so what counts is how much is handed out in the time for which the edge keeps what is not read.
"""

import time
from collections.abc import Callable
from math import ceil

from dc1.domain.access.roles import Role
from dc1.domain.base.leaky_bucket import Flow, LeakyBucket, LeakyBuckets
from dc1.domain.errors import rate_limit_exceeded, service_unavailable
from dc1.services.api.call import Call

# Of less any number may be read: what the rate limits let pass of it is little.
_LARGE_CHARACTERS = 256 * 1024

# Characters. Of one account two of the largest at once, then one in five seconds. The edge keeps what nobody reads for
# 30 s: three times what all are given in it is below the 1 GiB that Envoy may take.
_OF_ACCOUNT = Flow(24 * 1024 * 1024, 2 * 1024 * 1024)
_OF_ALL = Flow(64 * 1024 * 1024, 6 * 1024 * 1024)
# Apart, so that those without a key take nothing from those with one: of an address the documentation a dozen times.
_OF_ADDRESS = Flow(14 * 1024 * 1024, 512 * 1024)
_OF_STRANGERS = Flow(24 * 1024 * 1024, 2 * 1024 * 1024)


class OutputBudget:
    """Characters of large answers, by account or address and in all. Owned by the event loop."""

    def __init__(self, *, enabled: bool, now: Callable[[], float] = time.monotonic) -> None:
        """Make a full budget; `now` tells seconds of any monotonic clock."""
        self._enabled = enabled
        self._all = LeakyBucket(_OF_ALL, now)
        self._accounts: LeakyBuckets[str] = LeakyBuckets(_OF_ACCOUNT, now)
        self._strangers = LeakyBucket(_OF_STRANGERS, now)
        self._addresses: LeakyBuckets[str] = LeakyBuckets(_OF_ADDRESS, now)

    def is_large(self, characters: int) -> bool:
        """Tell whether an output of so many characters is counted."""
        return self._enabled and characters > _LARGE_CHARACTERS

    def spend(self, account: str, characters: int) -> None:
        """Count a large output that an account is about to be given; refuses what is too much for it, or in all."""
        _spend(self._accounts, account, self._all, characters)

    def count_answer(self, call: Call, address: str, size: int) -> None:
        """Count a large answer of so many bytes, unless its call did; refuses as `spend` does."""
        # Who runs the market is believed to read what is asked for.
        if call.output_is_counted or call.principal.role is Role.ADMIN:
            return
        if call.principal.account_id is None:
            _spend(self._addresses, address, self._strangers, size)
        else:
            self.spend(call.principal.account, size)


def _spend(of_each: LeakyBuckets[str], who: str, of_all: LeakyBucket, characters: int) -> None:
    """Take from both.

    Raises:
        rate_limit_exceeded: it is too much of one.
        service_unavailable: it is too much in all.
    """
    if wait := ceil(of_each.wait_seconds(who, characters)):
        raise rate_limit_exceeded(wait)
    if wait := ceil(of_all.wait_seconds(characters)):
        raise service_unavailable(wait)
    of_each.take(who, characters)
    of_all.take(characters)
