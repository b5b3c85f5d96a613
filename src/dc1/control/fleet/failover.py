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
"""Streams that end at once when something in front of the server went, and not a machine or two."""

_END_MS = 1_000
"""Within how long the streams of a fleet end, of which the server is told."""

_SILENCE_MS = 10_000
"""Within how long they fall silent: each is missed by its own beats, which are spread over so long."""


class _Wave:
    """Whose streams ended lately, each after the one before it; no more of them than it takes to tell a fleet."""

    def __init__(self, within_ms: int) -> None:
        self._within_ms = within_ms
        self._begun_ms = -within_ms
        self._went: dict[int, Provider] = {}

    def with_it(self, provider: Provider, now_ms: int) -> list[Provider]:
        """Return who is gone together with a provider, itself among them; nobody as long as those are no fleet."""
        if now_ms - self._begun_ms >= self._within_ms:
            self._begun_ms, self._went = now_ms, {}
        # By who it is: one that comes and goes is no fleet.
        self._went[provider.id] = provider
        fleet = [*self._went.values()] if len(self._went) >= _FLEET_STREAMS else []
        if len(self._went) > _FLEET_STREAMS:
            # The next one is one of it.
            del self._went[next(iter(self._went))]
        return fleet


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
        self._ends, self._silences = _Wave(_END_MS), _Wave(_SILENCE_MS)

    def went(self, provider: Provider, *, by_silence: bool = False) -> None:
        """Note that a daemon's stream ended here: with many at once an edge did, or the network, and all come back."""
        if provider.draining:
            # It leaves, and whoever goes beside it is no reason to wait for it.
            return
        wave = self._silences if by_silence else self._ends
        for each in wave.with_it(provider, self._clock.now_ms()):
            # Some of them may be back by now.
            if not each.presence.stream_open:
                self.expect(each)

    def expect(self, provider: Provider) -> None:
        """Note that a daemon's server went away, or the way to it."""
        self._awaited[provider.id] = self._clock.now_ms()

    def came(self, provider: Provider, *, unmissed: bool = False) -> None:
        """Note that a daemon is on a stream again, here or at another server.

        One that comes `unmissed` opens another stream before anybody knew that its last one had ended: the daemon saw
        that first, as where the way between them went without a word.
        """
        if self._awaited.pop(provider.id, None) is not None or unmissed:
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
