"""How often daemons beat: less often while their server is behind."""

from dc1.metrics.timing import LoopMetrics

MOST_STRETCH = 3.0
"""How many times longer than usual the time between two beats may become."""

_LONGEST_INTERVAL_SECONDS = 60.0
"""What no pace makes of a shorter interval: the edge ends a stream on which nothing was said for 75 s."""

_BEHIND_SECONDS = 0.02
_IN_TIME_SECONDS = 0.005
_LONGEST_SECONDS = 0.25
"""What one delay counts for at most: a machine that stood still once is not behind."""

_WEIGHT = 0.2
_FASTER = 1.1
_SLOWER = 1.02


def stretched(interval_seconds: float, times: float) -> float:
    """Return the time between two beats at a pace that makes it so many `times` as long."""
    return max(interval_seconds, min(interval_seconds * times, _LONGEST_INTERVAL_SECONDS))


class BeatPace:
    """Beats are what a large fleet costs its server, and what it can best do with fewer of.

    Of a server that has no time left they would take what streams that open, calls and the edge's question whether it
    lives are waiting for, and who is not answered comes again. Lengthened quickly and shortened slowly: a pace that
    swings would be no help.
    """

    def __init__(self) -> None:
        """Begin with the usual pace."""
        self._delay = 0.0
        self.loop = LoopMetrics()
        self.stretch = 1.0
        """How many times as long as usual the time between two beats is now, 1 to 3."""

    async def run(self) -> None:
        """Measure the event loop until cancelled."""
        await self.loop.watch(self.observe)

    def observe(self, delay_seconds: float) -> None:
        """Take how late the event loop came to what was due; asked for four times a second."""
        self._delay += (min(delay_seconds, _LONGEST_SECONDS) - self._delay) * _WEIGHT
        if self._delay > _BEHIND_SECONDS:
            self.stretch = min(MOST_STRETCH, self.stretch * _FASTER)
        elif self._delay < _IN_TIME_SECONDS:
            self.stretch = max(1.0, self.stretch / _SLOWER)
