"""What ends a stream whose daemon says nothing, or reads nothing."""

import asyncio
from collections.abc import Callable

from dc1.services.daemons.outbox import Outbox

_FAREWELL_SECONDS = 5.0
"""How long a daemon may take to read what was queued before its stream was ended."""


_LATE_SECONDS = 0.5
"""How late a timer may be served before it says more of its server than of any daemon."""


class Silence:
    """Ends a stream whose daemon says nothing for too long.

    Time in which the server itself did nothing is none in which a daemon was silent: what it said then is yet to be
    read.
    """

    __slots__ = ("_end", "_looking", "_patience", "_until", "seconds")

    def __init__(self, end: Callable[[], None]) -> None:
        """`end` ends the stream, of which `seconds` are known by then."""
        self.seconds = 0.0
        """How long it was silent, which counts towards the grace that a lost stream has; 0 for what it did not end."""
        self._end = end
        self._patience = 0.0
        self._until: float | None = None
        self._looking: asyncio.TimerHandle | None = None

    def begin(self, patience: float) -> None:
        """Wait for the daemon from now on, for so many seconds."""
        loop = asyncio.get_running_loop()
        self._patience, self._until = patience, loop.time() + patience
        # One timer looks again and again: one made and called off for each message costs every beat, and stays in the
        # loop's heap for as long as it would have waited.
        if self._looking is not None:
            if self._looking.when() <= self._until:
                return
            # Beats have become more frequent.
            self._looking.cancel()
        self._looking = loop.call_at(self._until, self._look)

    def heard(self) -> None:
        """Wait no more for now."""
        self._until = None

    def end(self) -> None:
        """Wait never again."""
        self.heard()
        if self._looking is not None:
            self._looking.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._looking is not None
        # By when the timer was due and not by the patience, which may have ended just before the server went on.
        late = loop.time() - self._looking.when()
        self._looking = None
        if self._until is None:
            # The daemon spoke and is being followed; the next wait begins anew.
            return
        if late > _LATE_SECONDS:
            # A machine that stood still for a while would find all of its fleet silent when it goes on.
            self._until = max(self._until, loop.time()) + min(late, self._patience)
        if self._until > loop.time():
            self._looking = loop.call_at(self._until, self._look)
            return
        self.seconds = self._patience
        self._end()


class Farewell:
    """Cuts a stream off whose daemon reads none of what was queued before its end: writing that would wait for ever."""

    __slots__ = ("_cutting", "_outbox", "_owner")

    def __init__(self, outbox: Outbox) -> None:
        """Watch over the stream that the running task holds."""
        # No task that waits for the end: each of ten thousand streams would have one.
        self._owner = asyncio.current_task()
        self._outbox = outbox
        self._cutting: asyncio.TimerHandle | None = None
        outbox.closing = self._begin

    def _begin(self) -> None:
        assert self._owner is not None
        self._cutting = asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self._owner.cancel)

    def end(self) -> None:
        """Cut nothing off any more."""
        self._outbox.closing = lambda: None
        if self._cutting is not None:
            self._cutting.cancel()
