"""What the machines cost: the factors of GPU models that admins set, and what owners may ask."""

from collections.abc import Mapping

from dc1.domain.money.machine_prices import GPU_FACTORS_PCT, HUNDRED, AskBounds, factor_pct, price_bps
from dc1.domain.providers.gpu_models import models_that_do
from dc1.domain.providers.hardware import is_of_gpu_type, squashed
from dc1.domain.providers.measurements import Measurement


class PriceBook:
    """The prices of machines as they are now; of jobs that were submitted before, the terms are in their rows."""

    def __init__(self, bounds: AskBounds) -> None:
        self.bounds = bounds
        self.factors: Mapping[str, int] = GPU_FACTORS_PCT

    def factor_pct(self, gpu_name: str | None, below_model: Measurement | None = None) -> int:
        """Return the factor of a machine whose daemon reports this GPU, 1.00 of one that reports none.

        One that was measured below its model may be any card that does as much: it has the factor of the cheapest, so
        that whoever reports a dearer card than it has gets no more than for its own.
        """
        own_pct = factor_pct(self.factors, gpu_name)
        if below_model is None:
            return own_pct
        return min(own_pct, *(factor_pct(self.factors, name) for name in models_that_do(below_model)))

    def price_bps(self, gpu_factor_pct: int, ask_pct: int) -> int:
        """Return what one GPU of a machine costs, by its factor and its owner's ask."""
        return price_bps(gpu_factor_pct, self.bounds.within(ask_pct))

    def usual_bps(self, gpu_type: str | None) -> int:
        """Return what a GPU of a type costs where nobody has one: the factor of its dearest model, asked as usual."""
        known = (pct for name, pct in self.factors.items() if gpu_type and is_of_gpu_type(squashed(name), gpu_type))
        return price_bps(max(known, default=HUNDRED), HUNDRED)
