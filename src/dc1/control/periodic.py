"""What is done again and again because time passes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog

log = structlog.get_logger(__name__)

Step: TypeAlias = Callable[[], Awaitable[None]]


async def every(seconds: float, step: Step) -> None:
    """Take a step, and again `seconds` after it ended, until cancelled; one that fails is logged and taken again."""
    while True:
        try:
            await step()
        except Exception:
            # A timer that died would stop its part of the market without a word.
            log.exception("round_failed", step=getattr(step, "__qualname__", ""))
        await asyncio.sleep(seconds)


class Periodic:
    """Steps that are taken from `start` to `stop`, each with the seconds between two of its rounds."""

    def __init__(self, *steps: tuple[float, Step]) -> None:
        self._steps = steps
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(every(seconds, step)) for seconds, step in self._steps]

    async def stop(self) -> None:
        """End, also in the middle of a step."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
