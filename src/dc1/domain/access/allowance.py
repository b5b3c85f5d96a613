"""What is left of a limit a minute: it fills again steadily, so that nobody waits for a minute to end."""

import math
from dataclasses import dataclass

_MINUTE_MS = 60_000


@dataclass(slots=True)
class Allowance:
    """What is left of `limit` a minute as of `at_ms`; less than nothing after more was used than was expected."""

    limit: int
    left: float
    at_ms: int

    def refill(self, limit: int, now_ms: int) -> None:
        """Add what came back since; of another limit, the part that was left of the old one, all after none."""
        if limit != self.limit:
            self.left = self.left * limit / self.limit if self.limit else float(limit)
            self.limit = limit
        passed_ms = max(0, now_ms - self.at_ms)
        self.left, self.at_ms = min(float(limit), self.left + limit * passed_ms / _MINUTE_MS), now_ms

    def wait_ms(self, amount: float) -> int:
        """Return how long it takes until `amount` is left: 0 when it is, and a minute where it never will be."""
        missing = min(amount, self.limit) - self.left
        if missing <= 0 and self.limit:
            return 0
        # Rounded up: who comes back after the wait must not be too early.
        return math.ceil(missing * _MINUTE_MS / self.limit) if self.limit else _MINUTE_MS

    @property
    def reset_ms(self) -> int:
        """How long it takes until all of it is left."""
        return self.wait_ms(self.limit) if self.limit else 0
