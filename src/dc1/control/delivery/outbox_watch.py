"""When an outbox is looked into: once something was put there or comes due, and hardly ever by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dc1.control.feeds.outboxes import Outboxes
from dc1.control.periodic import when_due
from dc1.domain.base.clock import Clock
from dc1.storage.engine.followed import Outbox

_APART_SECONDS = 0.05
"""Between two looks: of much that is put there one after the other each look takes all."""

_LOOK_SECONDS = 2.0
"""How often it is looked all the same: for what a server left that is gone, and for a command that wrote beside us."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look into an outbox found.

    `next_due_ms` is when something comes due that could be sent, None where nothing waits. `is_full` says that there
    may be more that is due, and that no more of it could be taken.
    """

    next_due_ms: int | None
    is_full: bool = False


class OutboxWatch:
    """Looks into one outbox when something was put there, and when what waits there comes due."""

    def __init__(self, outboxes: Outboxes, outbox: Outbox, clock: Clock, look: Callable[[], Awaitable[Looked]]) -> None:
        """`look` takes what is due there, and is called by one at a time."""
        self._outboxes = outboxes
        self._outbox = outbox
        self._clock = clock
        self._look = look
        self._woken = asyncio.Event()
        self._was_filled = False
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._outboxes.open(self._outbox, filled=self._fill, look=self.wake)
        looking = when_due(
            self._woken, self._look_once, apart_seconds=_APART_SECONDS, at_least_every_seconds=_LOOK_SECONDS
        )
        self._looking = asyncio.create_task(looking)

    async def stop(self) -> None:
        """End, also in the middle of a look."""
        self._outboxes.close(self._outbox)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def wake(self) -> None:
        """Have it look soon, as something could be taken that could not before."""
        self._woken.set()

    def _fill(self) -> None:
        self._was_filled = True
        self._woken.set()

    async def _look_once(self) -> float | None:
        was_filled, self._was_filled = self._was_filled, False
        looked = await self._look()
        # Not of what was heard of or comes due again: servers that are all full would tell each other for ever.
        if was_filled and looked.is_full:
            self._outboxes.tell_others(self._outbox)
        return None if looked.next_due_ms is None else (looked.next_due_ms - self._clock.now_ms()) / 1000
