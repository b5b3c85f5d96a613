"""Whether a fleet whose server, or whose way to it, went away is still coming back."""

from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import Clock

FAILOVER_GRACE_SECONDS = 10
"""How much longer than usual a daemon may take to come back when it was the server that went away."""

RETURN_SECONDS = 60
"""How long that grace begins anew while others come back: a daemon waits no longer for its welcome."""

_LULL_MS = 2_000
"""When nobody came back for so long, nobody is in a line before a server that has no time for them yet."""

_FLEET_STREAMS = 20
"""Streams that end in a second when something in front of the server went, and not a machine or two."""


class Failover:
    """Daemons that wait for their turn are not lost, nor are their runs.

    A server that starts takes a large fleet back one by one, so that the last of it would be past any grace by no fault
    of theirs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Each since when, for the next fleet that goes is no reason to wait any longer for one of the last.
        self._awaited: dict[int, int] = {}
        self._came_ms = 0
        self._second = 0
        self._went: dict[int, Provider] = {}

    def went(self, provider: Provider) -> None:
        """Note that a daemon's stream ended here: with many at once an edge did, or the network, and all come back."""
        second = self._clock.now_ms() // 1000
        if second != self._second:
            self._second, self._went = second, {}
        # By who it is: one that comes and goes is no fleet.
        self._went[provider.id] = provider
        if len(self._went) >= _FLEET_STREAMS:
            for each in self._went.values():
                # Some of them may be back by now.
                if not each.presence.stream_open:
                    self.expect(each)
        if len(self._went) > _FLEET_STREAMS:
            # As many as are needed to tell that it is a fleet, and no more: the next one is one of it.
            del self._went[next(iter(self._went))]

    def expect(self, provider: Provider) -> None:
        """Note that a daemon's server went away, or the way to it."""
        self._awaited[provider.id] = self._clock.now_ms()

    def came(self, provider: Provider) -> None:
        """Note that a daemon is on a stream again, here or at another server."""
        if self._awaited.pop(provider.id, None) is not None:
            self._came_ms = self._clock.now_ms()

    def goes_on(self, provider: Provider) -> bool:
        """Tell whether a daemon whose grace is over is to be waited for again; of one that is not, nothing is kept."""
        since_ms = self._awaited.get(provider.id)
        if since_ms is None:
            return False
        now_ms = self._clock.now_ms()
        goes_on = now_ms - self._came_ms < _LULL_MS and now_ms - since_ms < RETURN_SECONDS * 1000
        if not goes_on:
            del self._awaited[provider.id]
        return goes_on
