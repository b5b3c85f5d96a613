"""What a machine costs beside the kind of work: the factor of its GPU, its owner's ask, and how many GPUs a job takes.

A machine's price is an integer in ten-thousandths of the rate of a kind of work: factor and ask have two decimals each,
so that their product is exact. What a job takes of it is that times its GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from dc1 import defaults
from dc1.domain.base.numeric import Number, exact

HUNDRED = 100
"""A factor or an ask of 1.00, which are kept in hundredths."""

UNIT_PRICE_BPS = HUNDRED * HUNDRED
"""The price of a machine whose factor and ask are 1.00: the rate of the work as it stands in the price list."""

MOST_FACTOR_PCT = 100 * HUNDRED

GPU_FACTORS_PCT: Mapping[str, int] = {
    "B200": 1100,
    "H200": 750,
    "H100": 550,
    "A100 80 GB": 320,
    "A100 40 GB": 250,
    "L40S": 200,
    "RTX 5090": 150,
    "A6000": 110,
    "RTX 4090": HUNDRED,
    "L4": 90,
    "RTX 4080": 80,
    "RTX 3090": 60,
    "V100": 50,
    "RTX 3080": 45,
    "T4": 40,
    "RTX 3060": 30,
}
"""What a new market starts with; admins change it."""


def factor_pct(factors: Mapping[str, int], gpu_name: str | None) -> int:
    """Return the factor of a GPU by its canonical name; a CPU and a GPU that is not in the table have 1.00."""
    return HUNDRED if gpu_name is None else factors.get(gpu_name, HUNDRED)


def hundredths(number: Number) -> int | None:
    """Return a factor or ask in hundredths, or None where it has more than two decimals."""
    scaled = exact(number) * HUNDRED
    return int(scaled) if scaled == int(scaled) else None


@dataclass(frozen=True, slots=True)
class AskBounds:
    """Between what owners may ask, in hundredths."""

    least_pct: int
    most_pct: int

    def holds(self, ask_pct: int) -> bool:
        """Tell whether an ask is within them."""
        return self.least_pct <= ask_pct <= self.most_pct

    def within(self, ask_pct: int) -> int:
        """Return an ask as it counts: bounds that were narrowed later hold for what was asked before too."""
        return max(self.least_pct, min(ask_pct, self.most_pct))


DEFAULT_BOUNDS = AskBounds(int(defaults.ASK_MIN * HUNDRED), int(defaults.ASK_MAX * HUNDRED))


def price_bps(gpu_factor_pct: int, ask_pct: int) -> int:
    """Return the price of one GPU of a machine."""
    return gpu_factor_pct * ask_pct


def price_ceiling_bps(max_rate_halala: Number, rate_halala: int, class_multiplier: Decimal, gpu_count: int) -> int:
    """Return the dearest price of one GPU at which a minute of the job costs at most `max_rate_halala`.

    At least 1, below what any machine costs: a ceiling of nothing would be work for nothing.
    """
    if rate_halala == 0:
        return UNIT_PRICE_BPS * MOST_FACTOR_PCT
    over, under = (exact(max_rate_halala) * UNIT_PRICE_BPS).as_integer_ratio()
    each_over, each_under = (class_multiplier * rate_halala * gpu_count).as_integer_ratio()
    # Rounded down: what is above the ceiling by a millionth is above it.
    return max(1, over * each_under // (under * each_over))
