"""How long to wait before connecting again."""

import random
from collections.abc import Callable

FIRST_SECONDS = 0.2
CAP_SECONDS = 5.0


class Backoff:
    """Exponential backoff with full jitter: a fleet that lost its server does not come back in one blow."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._ceiling = FIRST_SECONDS

    def next(self) -> float:
        """Return the seconds to wait: anything up to 0.2, then 0.4, 0.8 … and at most 5."""
        ceiling = self._ceiling
        self._ceiling = min(CAP_SECONDS, ceiling * 2)
        return self._uniform(0.0, ceiling)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._ceiling = FIRST_SECONDS
