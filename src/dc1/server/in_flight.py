"""Calls in flight, counted, for a stop that waits for them."""

import asyncio
from contextlib import suppress


class InFlight:
    """How many calls of a kind are in flight."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        """Count one more."""
        self._count += 1
        self._idle.clear()

    def end(self) -> None:
        """Count one less."""
        self._count -= 1
        if not self._count:
            self._idle.set()

    async def ended(self, grace_seconds: float) -> bool:
        """Wait until none is left; return whether that was so within `grace_seconds`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_seconds)
        return not self._count
