"""What a machine costs by somebody's news of it, and whether that is still so."""

from dataclasses import dataclass
from typing import NamedTuple

from dc1.domain.money.machine_prices import UNIT_PRICE_BPS


class PriceBasis(NamedTuple):
    """What the price of a machine is made of: its owner's ask, its probe, and the version of the factors.

    `has_mismatch` is None where what was found is not stored yet.
    """

    ask_pct: int
    has_mismatch: bool | None
    probed_at_ms: int | None
    factors_version: int | None

    def is_outdated(self, stored: "PriceBasis") -> bool:
        """Tell whether what is stored is newer, so that the price is another one."""
        # A probe is stored by who made it, a moment later: what is known here may be the newer one.
        is_older = (stored.probed_at_ms or 0) > (self.probed_at_ms or stored.probed_at_ms or 0)
        is_found = self.has_mismatch is not None and self.has_mismatch is not stored.has_mismatch
        other_factors = self.factors_version is not None and self.factors_version != stored.factors_version
        return self.ask_pct != stored.ask_pct or is_found or is_older or other_factors


class TermsChangedError(Exception):
    """A machine costs something else than whoever would reserve it knows: nothing is reserved."""


@dataclass(frozen=True, slots=True)
class MachineTerms:
    """What one GPU of a machine costs, and what that rests on, None where nothing of it is compared."""

    price_bps: int = UNIT_PRICE_BPS
    basis: PriceBasis | None = None


ANY_TERMS = MachineTerms()
"""The usual price, whatever has changed since."""
