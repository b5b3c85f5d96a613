"""Kinds of machines: what placement looks at, apart from which machine it is and what it costs."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from typing import Generic, NamedTuple, TypeVar

from dc1.domain.jobs.placement import ProviderView, Requirement, capability_obstacle, is_affordable, of_any_price
from dc1.domain.providers.model_abilities import ServedPaths

M = TypeVar("M", bound=Sized)


class Kind(NamedTuple):
    """Everything placement looks at but rank and price: providers of one kind fit the same jobs, if those pay for it.

    Owners choose what they ask, so that there are as many prices as owners: a job is matched against each kind once.
    """

    slots: int
    occupied: int
    has_gpu: bool
    below_model: bool
    vram_mib: int | None
    gpu_type: str | None
    compute_types: frozenset[str]
    models: frozenset[str]
    job_types: frozenset[str] | None
    streaming: bool
    scripted: bool
    only_named: bool
    carries_bodies: bool
    paths: ServedPaths

    @classmethod
    def of(cls, view: ProviderView) -> "Kind":
        """Return the kind of a provider."""
        return cls(
            view.slots,
            view.occupied,
            view.has_gpu,
            view.below_model,
            view.vram_mib,
            view.gpu_type,
            view.compute_types,
            view.models,
            view.job_types,
            view.streaming,
            view.scripted,
            view.only_named,
            view.carries_bodies,
            view.paths,
        )


class ByKind(Generic[M]):
    """Collections of machines that are alike and cost the same; none of them is empty but while it is being filled."""

    def __init__(self, empty: Callable[[], M]) -> None:
        self._kinds: dict[Kind, dict[int, M]] = {}
        self._empty = empty

    def at(self, kind: Kind, price_bps: int) -> M:
        """Return the machines of a kind at a price, to add to or to take from."""
        prices = self._kinds.setdefault(kind, {})
        if price_bps not in prices:
            prices[price_bps] = self._empty()
        return prices[price_bps]

    def tidy(self, kind: Kind, price_bps: int) -> None:
        """Forget a kind or a price that nobody is left of."""
        prices = self._kinds[kind]
        if not prices[price_bps]:
            del prices[price_bps]
        if not prices:
            del self._kinds[kind]

    def fitting(self, requirement: Requirement, fit: Callable[[M, Requirement], bool]) -> Iterator[tuple[int, M]]:
        """Yield the machines of each kind that fits and each price that is paid, whoever is excluded among them."""
        anyhow = of_any_price(requirement)
        for prices in self._kinds.values():
            # Some stand for all of their kind.
            if fit(next(iter(prices.values())), anyhow):
                for price_bps, members in prices.items():
                    if is_affordable(price_bps, requirement):
                        yield price_bps, members


class Machines:
    """What an order may land on, busy ones included; of those that are alike all that cost the same together."""

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
