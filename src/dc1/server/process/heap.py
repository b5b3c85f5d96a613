"""What the garbage collector is told of a server, and when it looks at what."""

import asyncio
import gc
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

_YOUNG_OBJECTS = 10_000
"""How many objects are made before the collector looks at them; by default 700, which is a call or two."""

_YOUNG_LOOKS = 4
_NEVER = 1_000_000_000
_YOUNG_SECONDS = 0.25
_WHOLE_SECONDS = 900.0

_GROWN = 1.1
"""By how much a process is larger before everything it has is looked at once more."""


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Have the collector look at nothing while the block runs, in which much is made and next to nothing is let go.

    It looked at a fleet that is loaded again and again while it grew, for a third of the time that a server takes to
    start.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def tend_heap() -> None:
    """Take what exists now for permanent, and say when what comes is looked at; on the running loop.

    Modules, descriptors and a loaded fleet live as long as the process. Looking at them again and again for garbage
    took a tenth of the time of a busy server, and what a call leaves behind is freed by its reference counts. Streams
    stay for weeks, and everything would be looked at whenever a quarter was added: a dozen times while ten thousand
    daemons connect, each time for longer. It is by the clock instead, for rings of objects that outlived their call.

    Young objects are looked at by the clock as well. The collector counts how many more were made than freed, and a
    beat replaces what the one before it left: of a fleet that beats the count stays where it is while everything that
    is known of it becomes young again, which was looked at in one go, 0.1 to 0.36 s of ten thousand machines.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_LOOKS, _NEVER)
    _look(partial(gc.collect, 0), _YOUNG_SECONDS)
    _look(partial(gc.collect, 1), _YOUNG_SECONDS * _YOUNG_LOOKS)
    _look(WholeLook(_resident_bytes, gc.collect), _WHOLE_SECONDS)


class WholeLook:
    """The look at all that there is, which takes 1.3 s with ten thousand streams, and nobody is answered meanwhile.

    Garbage of many rings would be memory. A process that has not grown has none that is worth it.
    """

    def __init__(self, resident_bytes: Callable[[], int], collect: Callable[[], object]) -> None:
        self._resident_bytes = resident_bytes
        self._collect = collect
        self._least_bytes = resident_bytes()

    def __call__(self) -> None:
        """Look, if the process is a tenth larger than it was at its smallest since it was last looked at."""
        now_bytes = self._resident_bytes()
        if now_bytes < self._least_bytes * _GROWN:
            self._least_bytes = min(self._least_bytes, now_bytes)
            return
        self._collect()
        self._least_bytes = self._resident_bytes()


def _resident_bytes() -> int:
    """Return how much memory the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _look(collect: Callable[[], object], seconds: float) -> None:
    """Let the collector look again and again, as long as the loop runs."""
    loop = asyncio.get_running_loop()

    def again() -> None:
        collect()
        loop.call_later(seconds, again)

    loop.call_later(seconds, again)
