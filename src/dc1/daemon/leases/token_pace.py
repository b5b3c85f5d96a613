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

_MOST_ASKED_SECONDS = 1.0
"""What a server may ask for: one that is mistaken makes no answer come in one piece."""


class TokenPace:
    """Counts what was sent, and asks for a pause only when that was much, or when the server does."""

    def __init__(self, runs: Callable[[], int] = lambda: 0) -> None:
        """`runs` tells how many there are now."""
        self._runs = runs
        self._opened_at = float("-inf")
        self._sent = 0
        self._asked_seconds = 0.0

    def ask(self, seconds: float) -> None:
        """Take how far apart the server wants the batches of a run from now on; 0 for as they come."""
        # NaN is within nothing.
        self._asked_seconds = seconds if 0 < seconds <= _MOST_ASKED_SECONDS else 0.0

    @property
    def is_of_many(self) -> bool:
        """Whether so many runs are beside each other that what they say is better said together."""
        return self._asked_seconds > 0 or self._runs() > MANY_RUNS

    @property
    def pause_seconds(self) -> float:
        """Least time between two batches of one run now."""
        is_much = self._sent >= _MOST_IN_A_WINDOW or self.is_of_many
        return max(self._asked_seconds, GATHERED_SECONDS) if is_much else 0.0

    def sent(self, now: float) -> None:
        """Count a batch."""
        if now - self._opened_at >= _WINDOW_SECONDS:
            self._opened_at, self._sent = now, 0
        self._sent += 1
