"""How much each daemon may have the server do: what is over it waits, and waits in the daemon."""

import asyncio
import time
from collections.abc import Callable

from dc1.domain import errors
from dc1.domain.base.leaky_bucket import Flow, LeakyBuckets
from dcp.v1.daemon_stream_pb2 import ConnectRequest

# One unit is a message that is followed in memory. Thirty-two runs that generate at once say as much a second, and more
# than twice as many where their daemon says together what it has to say at one moment.
_FLOW = Flow(4_000, 1_000)
# A batch of 500 lines of 2000 characters counts as 250.
_BYTES_PER_UNIT = 4_096
_UNITS = {
    # It opens with several transactions, ends the stream before and looks at every lease.
    "hello": 50,
    # Every lease is looked at, offers are looked for, and what the server wants is said anew.
    "beat": 10,
    "tokens": 1,
    "bundle": 1,
    # As many as the market offers it: one that it does not hold is refused.
    "accept": 1,
    "outcome": 1,
    # A run that prints fast says a few lines in each, and they are stored with what others print at the time.
    "logs": 1,
}
_TRANSACTION_UNITS = 5
_PART_OF_BUNDLE = 0.4
_REFUSED_UNITS = 50
"""A daemon that lost a job says a few things of it before it hears so, and one that says more makes it up."""

_LONGEST_WAIT_SECONDS = 5.0
"""A daemon that waits for its welcome gives up after ten."""


def _units(message: ConnectRequest) -> int:
    return _UNITS.get(message.WhichOneof("message") or "", _TRANSACTION_UNITS)


class MessageBudget:
    """Units by provider, whatever streams it opens and however often. Owned by the event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Make full budgets; `now` tells seconds of any monotonic clock."""
        self._providers: LeakyBuckets[int] = LeakyBuckets(_FLOW, now)

    def __len__(self) -> int:
        return len(self._providers)

    def spend(self, provider_id: int, message: ConnectRequest) -> None:
        """Count a message of a provider's daemon: it may owe more than there is, and those after it wait."""
        units: float = _units(message)
        if message.HasField("bundle"):
            # What is said together costs a part of what it would alone, most of which is to be received.
            units += sum(_PART_OF_BUNDLE * _units(one) for one in message.bundle.messages)
        self._providers.take(provider_id, units + message.ByteSize() / _BYTES_PER_UNIT)

    def spend_refused(self, provider_id: int) -> None:
        """Count besides that what a message said was refused."""
        self._providers.take(provider_id, _REFUSED_UNITS)

    async def room(self, provider_id: int) -> None:
        """Wait until more may be read from a provider's daemon."""
        # Mostly at once, and a turn of the loop for nothing would cost as much as the message.
        if wait := self.wait_seconds(provider_id):
            await asyncio.sleep(wait)

    def wait_seconds(self, provider_id: int) -> float:
        """Return for how long nothing more is to be read from a provider's daemon."""
        return self._providers.wait_seconds(provider_id)

    def require_little_wait(self, provider_id: int) -> None:
        """Refuse a stream that would wait for longer than its daemon does.

        Raises:
            rate_limit_exceeded: it is to come again when its provider owes less.
        """
        wait = self.wait_seconds(provider_id)
        if wait > _LONGEST_WAIT_SECONDS:
            raise errors.rate_limit_exceeded(int(wait))
