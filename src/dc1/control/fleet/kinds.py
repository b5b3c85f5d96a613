"""Kinds of machines: what placement looks at, apart from which machine it is and what it costs."""

from collections.abc import Callable, Iterator, Sized
from typing import Generic, NamedTuple, TypeVar

from dc1.domain.jobs.placement import ProviderView, Requirement, is_affordable, of_any_price
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
