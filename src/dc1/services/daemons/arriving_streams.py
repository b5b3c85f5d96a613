"""Streams of daemons that are not open yet, of which each costs as much as an open one."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from dc1.domain import errors

# One that reconnects has one, and the last may not be known to have ended; two daemons with a key come again and again.
_MOST = 8
_AGAIN_SECONDS = 1


class ArrivingStreams:
    """Counts by provider. Owned by the event loop."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    @contextmanager
    def counted(self, provider_id: int) -> Iterator[None]:
        """Count a stream that says nothing yet, or waits for its place, while the block runs.

        Raises:
            rate_limit_exceeded: the provider's daemons have too many of them.
        """
        if self._counts[provider_id] >= _MOST:
            raise errors.rate_limit_exceeded(_AGAIN_SECONDS)
        self._counts[provider_id] += 1
        try:
            yield
        finally:
            self._counts[provider_id] -= 1
            if not self._counts[provider_id]:
                del self._counts[provider_id]
