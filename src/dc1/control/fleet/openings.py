"""Whom work can be given to, by this server and by others, kept up as providers change and as time passes."""

from dataclasses import replace

from dc1.control.fleet.availability import Pools
from dc1.control.fleet.provider import Provider
from dc1.domain.jobs.placement import ProviderView
from dc1.domain.providers.preferences import RunMode

_MINUTE_MS = 60_000


class Openings:
    """The pools of a fleet, and whose place in them changes though nobody says anything."""

    def __init__(self) -> None:
        self.here = Pools()
        self.elsewhere = Pools()
        """Whom only another server can give work to, because it holds the daemon's stream."""
        self._scheduled: dict[int, Provider] = {}
        self._minute = 0
        self._reluctant: dict[int, Provider] = {}

    def put(self, provider: Provider, view: ProviderView) -> None:
        """Take over what became of a provider; `view` is how it stands now."""
        if provider.run_mode is RunMode.SCHEDULED:
            self._scheduled[provider.id] = provider
        else:
            self._scheduled.pop(provider.id, None)
        if view.reluctance is not None and provider.occupied:
            self._reluctant[provider.id] = provider
        self.here.put(view)
        if provider.stream_replica is None:
            self.elsewhere.drop(provider.id)
        else:
            self.elsewhere.put(replace(view, occupied=provider.occupied))

    def take_scheduled(self, now_ms: int) -> list[Provider]:
        """Return the providers whose schedule may have opened or closed since the last call: all that have one, once a minute."""
        minute = now_ms // _MINUTE_MS
        if minute == self._minute:
            return []
        self._minute = minute
        return list(self._scheduled.values())

    def take_reluctant(self) -> list[Provider]:
        """Return the providers with offers or runs whose preferences began to keep new work away since the last call."""
        reluctant, self._reluctant = self._reluctant, {}
        return list(reluctant.values())
