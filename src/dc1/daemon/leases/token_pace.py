"""How closely batches of generated text follow each other, for all runs of a daemon together."""

from collections.abc import Callable

GATHERED_SECONDS = 0.03
"""Least time between two batches of one run while there are too many of all."""

_WINDOW_SECONDS = 0.1
# 2,000 a second: 16 callers whose engine makes a token in 10 ms each have theirs at once. A message costs daemon and
# server CPU by its number and not by its size, so what comes beyond is gathered.
_MOST_IN_A_WINDOW = 200

MANY_RUNS = 32
"""With more of them beside each other tokens are gathered however few they are: where so many are on their way it is
the market's processors that they wait for, and these by the number of messages."""


class TokenPace:
    """Counts what was sent, and asks for a pause only when that was much."""

    def __init__(self, runs: Callable[[], int] = lambda: 0) -> None:
        """`runs` tells how many there are now."""
        self._runs = runs
        self._opened_at = float("-inf")
        self._sent = 0

    @property
    def is_of_many(self) -> bool:
        """Whether so many runs are beside each other that what they say is better said together."""
        return self._runs() > MANY_RUNS

    @property
    def pause_seconds(self) -> float:
        """Least time between two batches of one run now."""
        return GATHERED_SECONDS if self._sent >= _MOST_IN_A_WINDOW or self.is_of_many else 0.0

    def sent(self, now: float) -> None:
        """Count a batch."""
        if now - self._opened_at >= _WINDOW_SECONDS:
            self._opened_at, self._sent = now, 0
        self._sent += 1
