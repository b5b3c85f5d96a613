"""What is done again and again: because time passes, or because something may have changed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeAlias, TypeVar

import structlog

from dc1.containment import contained
from dc1.control.failures import is_told, level_of

log = structlog.get_logger(__name__)

T = TypeVar("T")

Step: TypeAlias = Callable[[], Awaitable[object]]

_TURN_SECONDS = 0.002


async def every(seconds: float, *steps: Step) -> None:
    """Take steps, and again `seconds` after the last ended, until cancelled; one that fails is logged."""
    # Counted from the end: a step that takes longer than its time must not be taken twice at once, nor without a pause.
    rounds = [_Rounds(step) for step in steps]
    while True:
        for each in rounds:
            await each.take()
        await asyncio.sleep(seconds)


async def whenever(
    event: asyncio.Event, step: Step, *, settle_seconds: float = 0, at_least_every_seconds: float | None = None
) -> None:
    """Take a step each time `event` was set, until cancelled; one that fails is logged and waits for the next time.

    For `settle_seconds` more events may come that the same step answers. With `at_least_every_seconds` it is taken
    without an event, too.
    """
    rounds = _Rounds(step)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(at_least_every_seconds):
                await event.wait()
        await asyncio.sleep(settle_seconds)
        # Cleared before the step: what happens while it is taken may be news to it.
        event.clear()
        await rounds.take()


async def when_due(
    woken: asyncio.Event,
    look: Callable[[], Awaitable[float | None]],
    *,
    apart_seconds: float,
    at_least_every_seconds: float,
) -> None:
    """Look now, each time `woken` was set, and so many seconds after a look as it returned, until cancelled.

    A look that fails is logged. Whatever wakes within `apart_seconds` of one look shares the next.
    """
    in_seconds = at_least_every_seconds

    async def step() -> None:
        nonlocal in_seconds
        found = await look()
        in_seconds = at_least_every_seconds if found is None else min(found, at_least_every_seconds)

    step.__qualname__ = getattr(look, "__qualname__", "")
    rounds = _Rounds(step)
    while True:
        # Cleared before the look: what happens while it lasts may be news to it.
        woken.clear()
        in_seconds = at_least_every_seconds
        await rounds.take()
        await asyncio.sleep(apart_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, in_seconds - apart_seconds)):
                await woken.wait()


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield things of which there may be a whole fleet; after each few milliseconds everybody else has a turn.

    What is looked at may have changed since it was listed.
    """
    began = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - began > _TURN_SECONDS:
            await asyncio.sleep(0)
            began = time.perf_counter()


class _Rounds:
    """The rounds of a step, and how many of them have failed one after the other."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._name = getattr(step, "__qualname__", "")
        self._failed = 0

    async def take(self) -> None:
        """Take the step; one that fails is told, and of an outage the first, second, fourth, eighth and so on."""
        try:
            with contained():
                await self._step()
        except Exception as error:
            # A timer that died would stop its part of the market without a word.
            self._failed += 1
            if is_told(self._failed):
                level_of(error, log)("round_failed", step=self._name, in_a_row=self._failed)
        else:
            if self._failed > 1:
                log.info("rounds_work_again", step=self._name, failed=self._failed)
            self._failed = 0


class WholeStep:
    """A step that is taken to its end and never twice at once, also when whoever waits for it is cancelled.

    A transaction that has begun is committed whoever waits for it. What a flush cut off in the middle stored would be
    stored again by the next one, and counted twice.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._taking = asyncio.Lock()
        self.__qualname__ = getattr(step, "__qualname__", "")

    async def __call__(self) -> None:
        """Take the step once whoever takes it now is done."""
        await asyncio.shield(self._take())

    async def _take(self) -> None:
        async with self._taking:
            await self._step()


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
