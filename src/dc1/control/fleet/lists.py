"""What lists and dashboards show of the fleet."""

from collections.abc import Collection, Mapping
from heapq import nlargest

from dc1.control.fleet.presence import PresenceTracker
from dc1.control.fleet.provider import Provider
from dc1.control.fleet.reports import GpuCounts, Listed
from dc1.domain.base.clock import Clock
from dc1.domain.providers.liveness import Thresholds, bookable

_NEWEST_SIGNUPS = 5
_NEWEST_HEARTBEATS = 10


class FleetLists:
    """Counts and lists of providers; `available` alone walks the fleet, as its answer is as long."""

    def __init__(
        self,
        clock: Clock,
        thresholds: Thresholds,
        accounts: Mapping[int, Provider],
        presence: PresenceTracker,
        gpu_counts: GpuCounts,
    ) -> None:
        self._clock = clock
        self._thresholds = thresholds
        self._accounts = accounts
        self._presence = presence
        self._gpu_counts = gpu_counts
        self._newest: list[int] = []
        self._owners = 0

    def signed_up(self, provider: Provider) -> None:
        """Note that an account came in."""
        # By id, which grows with each registration: accounts that are loaded come in another order.
        if len(self._newest) < _NEWEST_SIGNUPS or provider.id > self._newest[-1]:
            self._newest = nlargest(_NEWEST_SIGNUPS, (*self._newest, provider.id))
        # Once for each: an account keeps its owner, and one that is closed stays in the count of all.
        self._owners += provider.owner_id is None

    def owners(self) -> int:
        """Return how many accounts hold the machines."""
        return self._owners

    def is_available(self, provider: Provider) -> bool:
        """Tell whether a provider may be given work, though it may be busy."""
        return bookable(provider.approval, provider.status(self._clock.now_ms(), self._thresholds))

    def available(self) -> list[Provider]:
        """Return the providers that may be given work, busy ones included: most VRAM first, then by id."""
        found = [item for item in self._accounts.values() if self.is_available(item)]
        return sorted(found, key=lambda item: (-(item.vram_mib or 0), item.id))

    def online(self) -> int:
        """Return how many providers are online by the table of liveness."""
        return self._presence.online()

    def online_on_dashboard(self) -> int:
        """Return how many providers the dashboard calls online."""
        return self._presence.online_on_dashboard()

    def by_gpu_model(self) -> list[tuple[Listed, int]]:
        """Return how many providers have each GPU model by its canonical name and by whose word, most first."""
        return self._gpu_counts.most_common()

    def gpu_types(self) -> Collection[str]:
        """Return the types of GPU that the market's machines report."""
        return self._gpu_counts.types

    def newest(self) -> list[Provider]:
        """Return the providers that registered last, newest first."""
        return [self._accounts[provider_id] for provider_id in self._newest]

    def newest_heartbeats(self) -> list[Provider]:
        """Return the providers that were heard last, newest first."""
        return self._presence.heard_last(_NEWEST_HEARTBEATS)
