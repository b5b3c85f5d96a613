"""How much a daemon may say on its stream: what is over it waits, and waits in the daemon."""

import time
from collections.abc import Callable

# Thirty-two runs that generate at once say as much; a batch of 500 lines of 2000 characters counts as 250.
_UNITS_PER_SECOND = 1_000.0
_BURST_UNITS = 4_000.0
_BYTES_PER_UNIT = 4_096


class MessageBudget:
    """Units of one message or 4 KiB each, of which a thousand come back in a second."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Make a full budget; `now` tells seconds of any monotonic clock."""
        self._now = now
        self._units = _BURST_UNITS
        self._counted_at = now()

    def spend(self, size_bytes: int) -> float:
        """Count a message, and return for how many seconds nothing more is to be read."""
        now = self._now()
        grown = self._units + (now - self._counted_at) * _UNITS_PER_SECOND
        # It may fall below nothing: a message that was read is followed, however large, and those after it wait.
        self._units = min(_BURST_UNITS, grown) - 1 - size_bytes / _BYTES_PER_UNIT
        self._counted_at = now
        return max(0.0, -self._units / _UNITS_PER_SECOND)
