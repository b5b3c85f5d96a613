"""Work whose caller may leave in the middle."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class ShieldedWork:
    """Runs work to its end also when the caller who waits for it is cancelled.

    A transaction that was begun is committed whoever waits for it, and what is kept in memory has to follow.
    """

    def __init__(self) -> None:
        # The loop itself holds its tasks by weak references only.
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    def cut_off(self) -> None:
        """Cancel everything that still runs."""
        for task in self._running:
            task.cancel()
