"""Work whose caller may leave in the middle."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from dc1.containment import run_contained
from dc1.domain.errors import ApiError

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class ShieldedWork:
    """Runs work to its end also when the caller who waits for it is cancelled.

    A transaction that was begun is committed whoever waits for it, and what is kept in memory has to follow.
    """

    def __init__(self) -> None:
        # The loop itself holds its tasks by weak references only.
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns."""
        task = asyncio.create_task(run_contained(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Whoever waited has left, and asyncio would print how this fails as a mistake of ours.
            task.add_done_callback(_tell_failure)
            raise

    def cut_off(self) -> None:
        """Cancel everything that still runs."""
        for task in self._running:
            task.cancel()


def _tell_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    # A refusal is an answer, which nobody is there to hear.
    if error is not None and not isinstance(error, ApiError):
        _log.warning("failed_for_nobody", error=type(error).__name__)
