"""Waiting for what happens in its own time, and letting things happen at the same time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.1


def eventually(probe: Callable[[], T], what: str = "the condition", seconds: float = 8.0) -> T:
    """Return the first true value of `probe`, which is asked again and again until the deadline."""
    # The machine's time, not the market's: this is about threads and processes, which a hand-moved clock does not move.
    began = time.monotonic()
    deadline = began + seconds
    while True:
        value = probe()
        if value:
            return value
        now = time.monotonic()
        assert now < deadline, f"{what} did not come about in {seconds} s; last seen: {value!r}"
        # Longer the longer it takes: a call a hundred times a second is work that what is waited for has to wait for.
        time.sleep(min(max(_PAUSE_SECONDS, (now - began) / 10), _LONGEST_PAUSE_SECONDS))


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        # All are under way before the first result is asked for, which raises what its call raised.
        return [future.result() for future in [pool.submit(call) for call in calls]]
