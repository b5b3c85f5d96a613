"""Prices and settlement in integer halala (1 SAR = 100 halala), computed exactly and rounded only where said."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Self

from dc1 import defaults
from dc1.domain.base.numeric import Number, exact
from dc1.domain.money.machine_prices import UNIT_PRICE_BPS

HALALA_PER_SAR = 100
MICRO_PER_HALALA = 1_000_000
"""What is below one halala is carried in millionths, never dropped."""

MAX_BALANCE_HALALA = 2_000_000_000
DEFAULT_RATE_HALALA = 10
"""Halala per minute of a job type that has no price, in a market without a default one."""


class PricingClass(StrEnum):
    """Service classes, the most urgent first."""

    PRIORITY = "priority"
    STANDARD = "standard"
    ECONOMY = "economy"


PRICING_CLASSES = tuple(PricingClass)

CLASS_MULTIPLIERS: Mapping[PricingClass, Decimal] = {
    PricingClass(name): factor for name, factor in defaults.CLASS_MULTIPLIERS.items()
}


def halala_to_sar(halala: int) -> float:
    """Return an amount in SAR, with at most two decimals."""
    return halala / HALALA_PER_SAR


def halala_to_usd(halala: int, sar_per_usd: Decimal) -> float:
    """Return an amount in US dollars, rounded half up to six decimals."""
    micro_usd = _round_half_up(Fraction(halala * 1_000_000, HALALA_PER_SAR) / Fraction(sar_per_usd))
    return micro_usd / 1_000_000


def sar_text(halala: int) -> str:
    """Write an amount in SAR with exactly two decimals."""
    return str(Decimal(halala).scaleb(-2).quantize(Decimal("0.01")))


def halala_from_sar(sar: Number) -> int:
    """Return an amount of SAR in halala, rounded half up."""
    return _round_half_up(Fraction(exact(sar)) * HALALA_PER_SAR)


def _round_half_up(value: Fraction) -> int:
    # Half up and not half to even, as people round amounts.
    return math.floor(value + Fraction(1, 2))


def quote(
    rate_halala: int, duration_minutes: Number, multiplier: Decimal, machine_price_bps: int = UNIT_PRICE_BPS
) -> int:
    """Return the prepaid price of `duration_minutes`, rounded up.

    A minute costs the rate of the work, times the multiplier of its class, times the price of the machine's GPUs.
    """
    return _price(rate_halala * machine_price_bps, exact(duration_minutes), multiplier)


def rate_per_minute(rate_halala: int, multiplier: Decimal, machine_price_bps: int = UNIT_PRICE_BPS) -> float:
    """Return what a minute costs in halala, for people to read: to six decimals, while bills are exact."""
    exact_rate = Fraction(rate_halala * machine_price_bps, UNIT_PRICE_BPS) * Fraction(multiplier)
    return _round_half_up(exact_rate * 1_000_000) / 1_000_000


def _price(priced_rate_bps: int, quantity: Decimal, multiplier: Decimal, per: int = 1) -> int:
    """Return the price of `quantity` at a rate in ten-thousandths of a halala for each `per`, rounded up."""
    # The one place where a price is rounded. Whole numbers, for Fraction would reduce every product first.
    quantity_over, quantity_under = quantity.as_integer_ratio()
    multiplier_over, multiplier_under = multiplier.as_integer_ratio()
    under = quantity_under * multiplier_under * per * UNIT_PRICE_BPS
    return -(-priced_rate_bps * quantity_over * multiplier_over // under)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a job's hold goes: `actual` = `platform` + `provider`, and `actual` + `refund` = the hold.

    `advance` is what the platform pays the provider besides, of calls whose price came with others. In millionths of a
    halala: `price_micro` is what the renter pays beyond an exact price, `share_micro` the provider's exact share, and
    `ahead_micro` what the provider gets beyond it. The first and the last are carried with their accounts.
    """

    actual: int
    platform: int
    provider: int
    refund: int
    advance: int = 0
    # No part of the amounts, which are what two settlements are compared by.
    price_micro: int = field(default=0, compare=False)
    share_micro: int = field(default=0, compare=False)
    ahead_micro: int = field(default=0, compare=False)

    @classmethod
    def split(cls, held_halala: int, charge_halala: int, fee_bps: int) -> Self:
        """Charge at most what is held, give the platform its share rounded down and refund the rest."""
        actual = min(held_halala, charge_halala)
        # Rounded down, so that what cannot be split goes to the provider, for whom it is kept in mind.
        platform = actual * fee_bps // 10_000
        return cls(
            actual=actual,
            platform=platform,
            provider=actual - platform,
            refund=held_halala - actual,
            share_micro=_share_micro(actual * MICRO_PER_HALALA, fee_bps),
        )

    @classmethod
    def of_tokens(cls, held_halala: int, price_micro: int, fee_bps: int) -> Self:
        """Charge tokens by their exact price, rounded up; what that is too much counts towards later calls."""
        # Minus twice rounds an integer division up.
        settlement = cls.split(held_halala, -(-price_micro // MICRO_PER_HALALA), fee_bps)
        exact_micro = min(price_micro, held_halala * MICRO_PER_HALALA)
        return replace(
            settlement,
            price_micro=settlement.actual * MICRO_PER_HALALA - exact_micro,
            share_micro=_share_micro(exact_micro, fee_bps),
        )

    def with_price_carried(self, left_micro: int, fee_bps: int) -> Self:
        """Return the settlement for a renter who has `left_micro` paid ahead after it.

        What was paid ahead before and now makes a halala is one that this settlement need not charge.
        """
        # Both terms are below one halala, so that without a carry the sum is no less than what was added.
        if left_micro >= self.price_micro:
            return self
        cheaper = type(self).split(self.actual + self.refund, self.actual - 1, fee_bps)
        # The provider made what it made, whoever got the halala that pays for it.
        return replace(cheaper, price_micro=self.price_micro - MICRO_PER_HALALA, share_micro=self.share_micro)

    def with_share_carried(self, ahead_micro: int) -> Self:
        """Return the settlement for a provider who has got `ahead_micro` beyond its exact share before it.

        Of what is charged the provider gets what is due to it, rounded up. Where less is charged than is due, whole
        halalas of it come from the platform: a renter chooses which of its calls is charged, and must not choose who
        is paid by it.
        """
        # Whoever is owed and owes nothing, as at first, is paid by the plain split.
        paid = self.provider if ahead_micro == 0 else self._due(self.share_micro - ahead_micro)
        provider = min(paid, self.actual)
        return replace(
            self,
            provider=provider,
            platform=self.actual - provider,
            advance=paid - provider,
            ahead_micro=paid * MICRO_PER_HALALA - self.share_micro,
        )

    def _due(self, due_micro: int) -> int:
        whole, below = divmod(max(0, due_micro), MICRO_PER_HALALA)
        # Rounded up out of the charge alone: the platform never lends what is not earned yet.
        return whole + (1 if below and whole < self.actual else 0)

    @classmethod
    def full_refund(cls, held_halala: int) -> Self:
        """Charge nothing."""
        return cls(actual=0, platform=0, provider=0, refund=held_halala)


def _share_micro(price_micro: int, fee_bps: int) -> int:
    """Return the provider's part of a price in millionths; of a millionth that cannot be split it gets all."""
    return price_micro - price_micro * fee_bps // 10_000


def settle(
    quote_halala: int,
    rate_halala: int,
    multiplier: Decimal,
    fee_bps: int,
    used_seconds: Number,
    machine_price_bps: int = UNIT_PRICE_BPS,
) -> Settlement:
    """Settle a run by the seconds it used, at the terms of its submission and the price of the machine that ran it."""
    charge = _price(rate_halala * machine_price_bps, exact(used_seconds), multiplier, per=60)
    return Settlement.split(quote_halala, charge, fee_bps)


def elapsed_seconds(started_at_ms: int, now_ms: int) -> int:
    """Return the time since a run's start on the server's clock, rounded up and at least 1 second."""
    return max(1, -((started_at_ms - now_ms) // 1000))


def used_seconds(elapsed: int, gpu_seconds: Number | None = None, duration_seconds: Number | None = None) -> Decimal:
    """Return the billable seconds: what the daemon reported, GPU seconds first, but never more than `elapsed`."""
    reported = gpu_seconds if gpu_seconds is not None else duration_seconds
    if reported is None:
        return Decimal(elapsed)
    # A report may lower the bill to nothing and no further, and never raise it.
    return min(max(exact(reported), Decimal(0)), Decimal(elapsed))
