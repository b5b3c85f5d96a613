"""What a job is held for: the price of the dearest machine that it may land on."""

from dataclasses import dataclass, replace
from decimal import Decimal

from dc1.control.fleet.fleet import Fleet
from dc1.domain import errors
from dc1.domain.jobs.placement import Requirement
from dc1.domain.money import pricing
from dc1.domain.money.machine_prices import price_ceiling_bps


@dataclass(frozen=True, slots=True)
class Quote:
    """The terms of a job: the rate of the work, the multiplier of its class, and the price of one GPU of a machine.

    `requirement` is the order's, with the price above which a machine does not fit. `machine_id` is the dearest that it
    may land on, None where none is known that fits.
    """

    rate_halala: int
    class_multiplier: Decimal
    duration_minutes: Decimal
    price_bps: int
    requirement: Requirement
    machine_id: int | None = None

    @property
    def hold_price_bps(self) -> int:
        """What the job takes of that machine's price, its GPUs together."""
        return self.price_bps * self.requirement.gpu_count

    @property
    def rate_per_minute(self) -> float:
        """What a minute of it costs on that machine, for people to read."""
        return pricing.rate_per_minute(self.rate_halala, self.class_multiplier, self.hold_price_bps)

    @property
    def cost_halala(self) -> int:
        """What is held for it."""
        return pricing.quote(self.rate_halala, self.duration_minutes, self.class_multiplier, self.hold_price_bps)


class Quotes:
    """Quotes orders by the machines there are; a submission and an estimate ask the same question."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def quote(
        self,
        requirement: Requirement,
        rate_halala: int,
        class_multiplier: Decimal,
        duration_minutes: Decimal,
        max_rate_halala: Decimal | None,
    ) -> Quote:
        """Return what an order is held for, at most `max_rate_halala` a minute.

        Raises:
            named_provider_too_dear: The named provider costs more.
        """
        ceiling_bps = None
        if max_rate_halala is not None:
            ceiling_bps = price_ceiling_bps(max_rate_halala, rate_halala, class_multiplier, requirement.gpu_count)
        price_bps, machine_id = self._dearest(requirement, ceiling_bps)
        if ceiling_bps is not None and price_bps > ceiling_bps:
            asked = price_bps * requirement.gpu_count
            raise errors.named_provider_too_dear(pricing.rate_per_minute(rate_halala, class_multiplier, asked))
        # A named machine is a condition by itself, and keeps to what was quoted for it.
        limit = price_bps if requirement.named_provider_id is None else None
        limited = replace(requirement, max_price_bps=limit)
        return Quote(rate_halala, class_multiplier, duration_minutes, price_bps, limited, machine_id)

    def _dearest(self, requirement: Requirement, ceiling_bps: int | None) -> tuple[int, int | None]:
        """Return the price of the dearest machine that a job may land on, and which it is."""
        named = None
        if requirement.named_provider_id is not None:
            named = self._fleet.get(requirement.named_provider_id)
        if named is not None:
            return named.price_bps(self._fleet.prices), named.id
        allowed = replace(requirement, max_price_bps=ceiling_bps)
        # Those that are there first: the money of everybody must not be held for one that was switched off long ago.
        for machines in (self._fleet.availability.bookable, self._fleet.availability.approved):
            dearest = machines.dearest(allowed)
            if dearest is not None:
                return dearest
        usual_bps = self._fleet.prices.usual_bps(requirement.gpu_type)
        if ceiling_bps is None:
            return usual_bps, None
        # It waits for one that is cheaper than all that would fit, and may land on whatever costs no more than it says.
        would_fit = self._fleet.availability.approved.dearest(replace(requirement, max_price_bps=None))
        return (min(usual_bps, ceiling_bps) if would_fit is None else ceiling_bps), None
