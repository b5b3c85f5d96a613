"""Machines by what they are equipped with and what they cost, busy ones included: what an order may land on."""

from collections.abc import Collection, Iterator

from dc1.control.fleet.kinds import Kind
from dc1.domain.jobs.placement import ProviderView, Requirement, capability_obstacle, of_any_price


class Machines:
    """Machines that fit the same orders kept together by their prices: real fleets have few kinds of them."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, dict[int, dict[int, ProviderView]]] = {}
        self._places: dict[int, tuple[Kind, int]] = {}

    def put(self, view: ProviderView) -> None:
        """Index a machine as it is equipped now."""
        place = (Kind.of(view)._replace(occupied=0), view.price_bps)
        # Every beat comes by here, and hardly any changes what a machine is.
        if self._places.get(view.id) == place:
            return
        self.drop(view.id)
        self._places[view.id] = place
        self._kinds.setdefault(place[0], {}).setdefault(place[1], {})[view.id] = view

    def drop(self, provider_id: int) -> None:
        """Forget a machine."""
        place = self._places.pop(provider_id, None)
        if place is None:
            return
        kind, price_bps = place
        prices = self._kinds[kind]
        del prices[price_bps][provider_id]
        if not prices[price_bps]:
            del prices[price_bps]
        if not prices:
            del self._kinds[kind]

    def fitting(self, requirement: Requirement) -> Iterator[tuple[int, Collection[int]]]:
        """Yield the machines that can run a job, by what one of their GPUs costs: those that are alike together."""
        named = requirement.named_provider_id
        if named is not None:
            yield from self._named(named, requirement)
            return
        anyhow = of_any_price(requirement)
        for prices in self._kinds.values():
            # One stands for all of its kind.
            if capability_obstacle(_one_of(prices), anyhow) is not None:
                continue
            for price_bps, members in prices.items():
                if requirement.max_price_bps is None or price_bps <= requirement.max_price_bps:
                    yield from _others(price_bps, members, requirement.excluded_provider_id)

    def _named(self, named: int, requirement: Requirement) -> Iterator[tuple[int, Collection[int]]]:
        place = self._places.get(named)
        if place is not None:
            view = self._kinds[place[0]][place[1]][named]
            if capability_obstacle(view, requirement) is None:
                yield view.price_bps, (named,)

    def count(self, requirement: Requirement) -> int:
        """Return how many machines can run a job."""
        return sum(len(members) for _, members in self.fitting(requirement))

    def dearest(self, requirement: Requirement) -> tuple[int, int] | None:
        """Return the price and the id of the dearest machine that can run a job, None where none can."""
        found = max(self.fitting(requirement), key=lambda group: group[0], default=None)
        return None if found is None else (found[0], next(iter(found[1])))


def _one_of(prices: dict[int, dict[int, ProviderView]]) -> ProviderView:
    return next(iter(next(iter(prices.values())).values()))


def _others(
    price_bps: int, members: dict[int, ProviderView], excluded: int | None
) -> Iterator[tuple[int, Collection[int]]]:
    if excluded not in members:
        yield price_bps, members.keys()
    elif len(members) > 1:
        yield price_bps, members.keys() - {excluded}
