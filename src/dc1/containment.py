"""What keeps a failure with the one thing that failed, in a process that holds other people's work."""

import asyncio
import concurrent.futures
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class StrayError(Exception):
    """What would have ended more than it was raised in: no Exception, and nobody's wish to end."""


class Containment:
    """What lets nothing out of a block but what `contained` says."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, _: object, raised: BaseException | None, __: object) -> None:
        """Let what was raised pass, or raise that it is a stray in its place.

        Raises:
            StrayError: it is one.
        """
        if raised is not None and _is_stray(raised):
            raise StrayError(in_words(raised)) from raised


# It remembers nothing, so that all blocks share one: each token passes three.
_CONTAINMENT = Containment()


def contained() -> Containment:
    """Return what lets nothing out of its block but an Exception, or the wish that the running task should end.

    A library may cancel what it waits for by itself, of which the waiting task would end without a word, and
    `sys.exit` in a task ends the whole event loop. Inside a task or in any thread. A StrayError stands for all else.
    """
    return _CONTAINMENT


async def run_contained(work: Awaitable[T]) -> T:
    """Return what `work` returns; for what is run in a task of its own, where nothing else could contain it."""
    with contained():
        return await work


def _is_stray(raised: BaseException) -> bool:
    if isinstance(raised, asyncio.CancelledError):
        return not _is_wished()
    # No future takes the one, so whoever waits for it would wait for ever; of the other asyncio makes its own kind.
    if isinstance(raised, StopIteration | concurrent.futures.CancelledError):
        return True
    # Python closes generators by GeneratorExit; a Ctrl-C is the operator's, where no handler takes it.
    return not isinstance(raised, Exception | GeneratorExit | KeyboardInterrupt)


def _is_wished() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        # A thread without a loop, which nobody can cancel.
        return False
    # A wish is counted at the task that was asked to end; what was cancelled beneath it is not.
    return task is None or task.cancelling() > 0


def in_words(error: BaseException) -> str:
    """Return what an exception says, by its type alone where it cannot say anything."""
    try:
        said = str(error)
    except Exception:
        # It is made by whatever raised it, and may be as broken.
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
