"""What costs something to read and is the same for all who ask: read once in a while, however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from dc1.storage.engine.unwritable import unwritable_reason

T = TypeVar("T")


class SharedReading(Generic[T]):
    """Reads for everybody who asks; while the database is away, the last that was read stands."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._reading = asyncio.Lock()
        self._last: list[T] = []
        self._read_at = 0.0

    async def now(self, most_seconds: float) -> T:
        """Return what was read `most_seconds` ago at most, by the loop's time; what reading fails of passes through."""
        # Not by the market's clock, which a test moves by hand: it is about what reading costs.
        clock = asyncio.get_running_loop().time
        async with self._reading:
            if not self._last or clock() - self._read_at >= most_seconds:
                try:
                    self._last = [await self._read()]
                except Exception as error:
                    # Not asked again before its time either: who waits for a database that is away waits for long.
                    if not self._last or unwritable_reason(error) is None:
                        raise
                self._read_at = clock()
            return self._last[0]
