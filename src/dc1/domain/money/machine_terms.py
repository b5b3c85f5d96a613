"""What a machine costs by somebody's news of it, and whether that is still so."""

from dataclasses import dataclass
from typing import NamedTuple

from dc1.domain.money.machine_prices import UNIT_PRICE_BPS


class PriceBasis(NamedTuple):
    """What the price of a machine is made of: its owner's ask, its probe, and the factor of its model.

    `has_mismatch` is None where what was found is not stored yet, `factor_pct` of a model that is not in the table.
    """

    ask_pct: int
    has_mismatch: bool | None
    probed_at_ms: int | None
    factor_pct: int | None

    def is_outdated(self, stored: "PriceBasis") -> bool:
        """Tell whether what is stored is newer, so that the price is another one."""
        # A probe is stored by who made it, a moment later: what is known here may be the newer one.
        is_older = (stored.probed_at_ms or 0) > (self.probed_at_ms or stored.probed_at_ms or 0)
        is_found = self.has_mismatch is not None and self.has_mismatch is not stored.has_mismatch
        is_repriced = (self.ask_pct, self.factor_pct) != (stored.ask_pct, stored.factor_pct)
        return is_repriced or is_found or is_older


class TermsChangedError(Exception):
    """A machine costs something else than whoever would reserve it knows: nothing is reserved."""


@dataclass(frozen=True, slots=True)
class MachineTerms:
    """What one GPU of a machine, `gpu_name`, costs, and what that rests on, None where nothing of it is compared."""

    price_bps: int = UNIT_PRICE_BPS
    gpu_name: str | None = None
    basis: PriceBasis | None = None


ANY_TERMS = MachineTerms()
"""The usual price, whatever has changed since."""
