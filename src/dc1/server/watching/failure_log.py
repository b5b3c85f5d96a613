"""Which of many like failures get a line in the log: while a database is away every call is one."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
MOST_LINES = 10
"""Lines of one kind in a window."""


@dataclass(slots=True)
class _Window:
    began: float
    lines: int = 0
    left_out: int = 0


class FailureLog:
    """Counts failures by kind, of which there are no more than the code has."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._windows: dict[Hashable, _Window] = {}

    def left_out(self, *kind: Hashable) -> int | None:
        """Count a failure; return how many like it got no line since the last one, None when this gets none either."""
        now = self._now()
        window = self._windows.setdefault(kind, _Window(now))
        if now - window.began >= WINDOW_SECONDS:
            window.began, window.lines = now, 0
        if window.lines >= MOST_LINES:
            window.left_out += 1
            return None
        window.lines += 1
        left_out, window.left_out = window.left_out, 0
        return left_out
