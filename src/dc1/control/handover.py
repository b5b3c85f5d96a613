"""What threads hand to the event loop: several things at one wake-up."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Handover(Generic[T]):
    """Takes things from any thread, and gives each of them to one function in the loop's, in the order they came.

    To wake a loop costs as much as two statements. What a loop is asked to do after something was put is done behind
    it, as by `call_soon_threadsafe` for each; what it was asked before may be, too, where it was for one put earlier.
    """

    def __init__(self, take: Callable[[T], None]) -> None:
        """`take` is given each thing, in the context that it was put with."""
        self._take = take
        self._waiting: list[tuple[T, Context]] = []
        # Threads look at what waits and add to it in one step: two that come at once would each leave it to the other
        # to wake the loop.
        self._lock = threading.Lock()

    def put(self, loop: asyncio.AbstractEventLoop, thing: T, context: Context) -> None:
        """Hand something over."""
        with self._lock:
            self._waiting.append((thing, context))
            # Under the lock as well: a thread that comes second and ends first would be done with its thing, and have
            # told the loop so, before the first one has said that there is anything to take.
            if len(self._waiting) == 1:
                loop.call_soon_threadsafe(self._take_all)

    def _take_all(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for thing, context in waiting:
            try:
                context.run(self._take, thing)
            except Exception:
                # One that fails keeps no other from being taken.
                log.exception("handover_failed")
