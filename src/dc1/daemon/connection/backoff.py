"""When a daemon asks again after a stream that ended, or was refused."""

import random
from collections.abc import Callable, Iterable

FIRST_SECONDS = 0.2
"""Most that is waited before the second attempt."""

CAP_SECONDS = 5.0
"""Most that is waited before any attempt of whom nobody told how long."""

MOST_TOLD_SECONDS = 60.0
"""The longest wait that a server or an edge means."""

_TOLD = "retry-after-ms"


class Backoff:
    """Exponential backoff with full jitter: a fleet that lost its server does not come back in one blow."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:  # noqa: S311 -- no secret
        self._uniform = uniform
        self._ceiling = FIRST_SECONDS
        self._told: float | None = None

    def next(self, fleet_seconds: float = 0.0, told: float | None = None, *, is_lost: bool = False) -> float:
        """Return the seconds to wait: as many as the edge or a server has told.

        Who is told nothing waits for anything up to 0.2, then 0.4, 0.8 … and at most 5, or up to `fleet_seconds`, over
        which the fleet of a server that went without a word is to come back. Where it `is_lost` what was told, it is
        what was told the last time: gRPC loses the end of a quarter of the calls that are turned away while Hello is
        written, and who took that for silence would ask twice as often as it may.
        """
        if told is None and is_lost and self._told is not None:
            # Of the first of a few a server says that it may come at once, which nobody may do again and again.
            return max(self._told, FIRST_SECONDS)
        self._told = told
        if told is not None:
            return told
        ceiling = max(self._ceiling, min(fleet_seconds, MOST_TOLD_SECONDS))
        self._ceiling = min(CAP_SECONDS, self._ceiling * 2)
        return self._uniform(0.0, ceiling)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._ceiling, self._told = FIRST_SECONDS, None


def seconds_told(trailers: Iterable[tuple[str, str | bytes]] | None) -> float | None:
    """Return after how long the edge wants to be asked again, None where it does not say.

    It has no server for a while and gives each daemon a turn of its own, so that a fleet costs it little more than a
    few do.
    """
    for name, value in trailers or ():
        # Anybody may stand between, and say anything.
        if name == _TOLD and isinstance(value, str) and value.isascii() and value.isdecimal():
            return min(max(int(value[:9]) / 1000, FIRST_SECONDS), MOST_TOLD_SECONDS)
    return None
