"""Machines by what they are equipped with and what they cost, busy ones included: what an order may land on."""

from collections.abc import Collection, Iterator, Mapping

from dc1.control.fleet.kinds import ByKind, Kind
from dc1.domain.jobs.placement import ProviderView, Requirement, capability_obstacle


class Machines:
    """Machines that fit the same orders kept together by their prices: real fleets have few kinds of them."""

    def __init__(self) -> None:
        self._kinds: ByKind[dict[int, ProviderView]] = ByKind(dict)
        self._places: dict[int, tuple[Kind, int]] = {}

    def put(self, view: ProviderView) -> None:
        """Index a machine as it is equipped now."""
        place = (Kind.of(view)._replace(occupied=0), view.price_bps)
        # Every beat comes by here, and hardly any changes what a machine is.
        if self._places.get(view.id) == place:
            return
        self.drop(view.id)
        self._places[view.id] = place
        self._kinds.at(*place)[view.id] = view

    def drop(self, provider_id: int) -> None:
        """Forget a machine."""
        place = self._places.pop(provider_id, None)
        if place is not None:
            del self._kinds.at(*place)[provider_id]
            self._kinds.tidy(*place)

    def fitting(self, requirement: Requirement) -> Iterator[tuple[int, Collection[int]]]:
        """Yield the machines that can run a job, by what one of their GPUs costs: those that are alike together."""
        asked_for = requirement.candidates
        if asked_for is not None:
            for each in asked_for:
                place = self._places.get(each)
                if place is not None and _can_run({each: self._kinds.at(*place)[each]}, requirement):
                    yield place[1], (each,)
            return
        for price_bps, members in self._kinds.fitting(requirement, _can_run):
            # Looked for among those few, and not among all members.
            named = {requirement.excluded_provider_id, *requirement.handed_to, *requirement.choice.ignore}
            asked = named & members.keys()
            passed_over = {member for member in asked if member and requirement.passes_over(members[member])}
            if others := members.keys() - passed_over if passed_over else members.keys():
                yield price_bps, others

    def count(self, requirement: Requirement) -> int:
        """Return how many machines can run a job."""
        return sum(len(members) for _, members in self.fitting(requirement))

    def dearest(self, requirement: Requirement) -> tuple[int, int] | None:
        """Return the price and the id of the dearest machine that can run a job, None where none can."""
        found = max(self.fitting(requirement), key=lambda group: group[0], default=None)
        return None if found is None else (found[0], next(iter(found[1])))


def _can_run(members: Mapping[int, ProviderView], requirement: Requirement) -> bool:
    return capability_obstacle(next(iter(members.values())), requirement) is None
