"""How much time a call has left, for every step of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpcore

# By `time.monotonic()`. Of the task or thread in which a call is made, as all of it is read and written there.
_ends_at: ContextVar[float] = ContextVar("dc1_client_ends_at", default=math.inf)


@contextmanager
def until(ends_at: float) -> Iterator[None]:
    """Have what is sent and read inside end by `ends_at`, as a timeout of the HTTP library."""
    before = _ends_at.set(ends_at)
    try:
        yield
    finally:
        _ends_at.reset(before)


def bounded(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    """Return the shorter of a step's own timeout and what is left of the call; raises `late` where that is nothing."""
    left = _ends_at.get() - time.monotonic()
    if left <= 0:
        # Asked for with no time at all, what has come already would still be read, piece after piece.
        raise late
    if timeout is None:
        return None if math.isinf(left) else left
    return min(timeout, left)
