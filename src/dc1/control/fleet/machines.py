"""Machines by what they are equipped with and what they cost, busy ones included: what an order may land on."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from dc1.control.fleet.kinds import Kind
from dc1.domain.jobs.placement import ProviderView, Requirement, capability_obstacle

Members: TypeAlias = Mapping[int, ProviderView]


class Machines:
    """Machines that fit the same orders at the same price, kept together: real fleets have few kinds of them."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, dict[int, ProviderView]] = {}
        self._places: dict[int, Kind] = {}

    def put(self, view: ProviderView) -> None:
        """Index a machine as it is equipped now."""
        kind = Kind.of(view)._replace(occupied=0)
        # Every beat comes by here, and hardly any changes what a machine is.
        if self._places.get(view.id) == kind:
            return
        self.drop(view.id)
        self._places[view.id] = kind
        self._kinds.setdefault(kind, {})[view.id] = view

    def drop(self, provider_id: int) -> None:
        """Forget a machine."""
        kind = self._places.pop(provider_id, None)
        if kind is None:
            return
        members = self._kinds[kind]
        del members[provider_id]
        if not members:
            del self._kinds[kind]

    def fitting(self, requirement: Requirement) -> Iterator[Members]:
        """Yield the machines that can run a job, all that are alike and cost the same together."""
        named = requirement.named_provider_id
        for members in self._kinds.values():
            # One stands for all of its kind, but who is named is one of them only.
            if named is not None and named not in members:
                continue
            view = next(iter(members.values())) if named is None else members[named]
            if capability_obstacle(view, requirement) is None:
                yield members if named is None else {named: view}

    def dearest(self, requirement: Requirement) -> ProviderView | None:
        """Return the dearest machine that can run a job, None where none can."""
        firsts = (next(iter(members.values())) for members in self.fitting(requirement))
        return max(firsts, key=lambda view: view.price_bps, default=None)
