"""How closely batches of generated text follow each other, for all runs of a daemon together."""

GATHERED_SECONDS = 0.03
"""Least time between two batches of one run while there are too many of all."""

_WINDOW_SECONDS = 0.1
# 2,000 a second: 16 callers whose engine makes a token in 10 ms each have theirs at once. A message costs daemon and
# server CPU by its number and not by its size, so what comes beyond is gathered.
_MOST_IN_A_WINDOW = 200


class TokenPace:
    """Counts what was sent, and asks for a pause only when that was much."""

    def __init__(self) -> None:
        self._opened_at = float("-inf")
        self._sent = 0

    @property
    def pause_seconds(self) -> float:
        """Least time between two batches of one run now."""
        return GATHERED_SECONDS if self._sent >= _MOST_IN_A_WINDOW else 0.0

    def sent(self, now: float) -> None:
        """Count a batch."""
        if now - self._opened_at >= _WINDOW_SECONDS:
            self._opened_at, self._sent = now, 0
        self._sent += 1
