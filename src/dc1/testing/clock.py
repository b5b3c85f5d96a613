"""Clocks for a market whose time is not the world's."""

from dc1.domain.base.clock import SystemClock


class ManualClock:
    """A clock that moves only when told to.

    Args:
        start_ms: the first time it tells, in milliseconds since the epoch.
    """

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        # One thread moves it while others read it: a whole number is replaced at once, so there is no lock.
        self._now_ms += round(seconds * 1000)


class SkewedClock:
    """The machine's clock, wrong by some seconds, as a replica's may be.

    Args:
        ahead_seconds: by how much it is ahead; a negative number is behind.
    """

    def __init__(self, ahead_seconds: float) -> None:
        self._clock = SystemClock()
        self._ahead_ms = round(ahead_seconds * 1000)

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return self._clock.now_ms() + self._ahead_ms
