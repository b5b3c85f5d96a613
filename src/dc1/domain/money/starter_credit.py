"""Starter credit is not cash: it is spent like money, and what a provider earns from it is kept apart."""

from dataclasses import dataclass
from typing import Self

from dc1.domain.money.pricing import Settlement


def part_of_hold(cost_halala: int, promo_halala: int) -> int:
    """Return how much of a hold is taken from the starter credit in the wallet, which is spent before money."""
    return min(cost_halala, promo_halala)


def left_of(promo_halala: int, balance_halala: int, taken_halala: int) -> int:
    """Return the starter credit that stays in a wallet from which an operator takes an amount: money goes first."""
    # The other way round, an operator's correction would turn what is left of the credit into money.
    return min(promo_halala, balance_halala - taken_halala)


@dataclass(frozen=True, slots=True)
class StarterShare:
    """Where the starter credit in a job's hold goes: its part of each amount of the settlement."""

    provider: int = 0
    platform: int = 0
    refund: int = 0

    @classmethod
    def of(cls, held_halala: int, settlement: Settlement) -> Self:
        """Split the starter credit in a hold: it is charged before money, so that money goes back before it."""
        used = min(held_halala, settlement.actual)
        # Rounded up, so that money for the provider is never more than its share of the money that was charged.
        provider = -(-settlement.provider * used // settlement.actual) if used else 0
        return cls(provider=provider, platform=used - provider, refund=held_halala - used)
