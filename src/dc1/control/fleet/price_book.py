"""What the machines cost: the factors of GPU models that admins set, and what owners may ask."""

from collections.abc import Mapping

from dc1.domain.money.machine_prices import GPU_FACTORS_PCT, HUNDRED, AskBounds, factor_pct, price_bps
from dc1.domain.providers.hardware import is_of_gpu_type, squashed


class PriceBook:
    """The prices of machines as they are now; of jobs that were submitted before, the terms are in their rows."""

    def __init__(self, bounds: AskBounds) -> None:
        self.bounds = bounds
        self.factors: Mapping[str, int] = GPU_FACTORS_PCT

    def factor_pct(self, gpu_name: str | None) -> int:
        """Return the factor of a machine whose daemon reports this GPU, 1.00 of one that reports none."""
        return factor_pct(self.factors, gpu_name)

    def price_bps(self, gpu_name: str | None, ask_pct: int) -> int:
        """Return what one GPU of a machine costs, by its reported model and its owner's ask."""
        return price_bps(self.factor_pct(gpu_name), self.bounds.within(ask_pct))

    def usual_bps(self, gpu_type: str | None) -> int:
        """Return what a GPU of a type costs where nobody has one: the factor of its dearest model, asked as usual."""
        known = (pct for name, pct in self.factors.items() if gpu_type and is_of_gpu_type(squashed(name), gpu_type))
        return price_bps(max(known, default=HUNDRED), HUNDRED)
