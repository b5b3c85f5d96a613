"""An index of the providers that have a free slot, by what they are equipped with.

Real fleets have few kinds of machines, so a job is matched against each kind once instead of against each provider.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from dc1.domain.jobs.placement import ProviderView, Requirement, blocked, choose
from dc1.domain.providers.liveness import ProviderStatus

_Rank: TypeAlias = tuple[bool, int, int]


class _Kind(NamedTuple):
    """Everything placement looks at but the rank: providers of one kind fit the same jobs."""

    slots: int
    occupied: int
    vram_mib: int | None
    gpu_type: str | None
    compute_types: frozenset[str]
    models: frozenset[str]
    job_types: frozenset[str] | None
    streaming: bool
    only_named: bool

    @classmethod
    def of(cls, view: ProviderView) -> "_Kind":
        return cls(
            view.slots,
            view.occupied,
            view.vram_mib,
            view.gpu_type,
            view.compute_types,
            view.models,
            view.job_types,
            view.streaming,
            view.only_named,
        )


def _rank(view: ProviderView) -> _Rank:
    # Within a kind, cached models and occupied slots are equal: what is left of the placement order is this.
    return (view.status is not ProviderStatus.ONLINE, -view.reputation, view.id)


class Pools:
    """The providers that can take work now."""

    def __init__(self) -> None:
        self._members: dict[_Kind, list[_Rank]] = {}
        self._places: dict[int, tuple[_Kind, _Rank]] = {}
        self._views: dict[int, ProviderView] = {}

    def __len__(self) -> int:
        return len(self._views)

    def put(self, view: ProviderView) -> None:
        """Index a provider as it stands now, or drop it when it can take no work."""
        self.drop(view.id)
        if blocked(view) is not None:
            return
        place = (_Kind.of(view), _rank(view))
        insort(self._members.setdefault(place[0], []), place[1])
        self._places[view.id] = place
        self._views[view.id] = view

    def drop(self, provider_id: int) -> None:
        """Forget a provider."""
        place = self._places.pop(provider_id, None)
        if place is None:
            return
        del self._views[provider_id]
        kind, rank = place
        members = self._members[kind]
        del members[bisect_left(members, rank)]
        if not members:
            del self._members[kind]

    def best(self, requirement: Requirement, *, prewarm: bool = False, avoid: Collection[int] = ()) -> int | None:
        """Return the provider that should run a job, or None when none can now.

        Providers in `avoid` are taken only when no other fits.
        """
        return choose(self._candidates(requirement, avoid), requirement, prewarm=prewarm, avoid=avoid)

    def _candidates(self, requirement: Requirement, avoid: Collection[int]) -> Iterator[ProviderView]:
        if requirement.named_provider_id is not None:
            named = self._views.get(requirement.named_provider_id)
            if named is not None:
                yield named
            return
        # Within a kind, the first stands for all who are as welcome as itself.
        never = {requirement.excluded_provider_id}
        for members in self._members.values():
            yield from self._first(members, never)
            if avoid:
                yield from self._first(members, never.union(avoid))

    def _first(self, members: list[_Rank], passed_over: Collection[int | None]) -> Iterator[ProviderView]:
        others = (rank[2] for rank in members if rank[2] not in passed_over)
        return (self._views[provider_id] for provider_id in islice(others, 1))
