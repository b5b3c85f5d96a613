"""What keeps a failure with the one thing that failed, in a process that holds other people's work."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class StrayError(Exception):
    """What would have ended more than it was raised in: no Exception, and nobody's wish to end."""


@contextmanager
def contained() -> Iterator[None]:
    """Let nothing out of the block but an Exception, or the wish that the running task should end.

    A library may cancel what it waits for by itself, of which the waiting task would end without a word, and
    `sys.exit` in a task ends the whole event loop.

    Raises:
        StrayError: it was something else.
    """
    try:
        yield
    except BaseException as raised:
        if not _is_stray(raised):
            raise
        raise StrayError(in_words(raised)) from raised


def _is_stray(raised: BaseException) -> bool:
    if isinstance(raised, asyncio.CancelledError):
        # A wish is counted at the task that was asked to end; what was cancelled beneath it is not.
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    # Python closes generators by GeneratorExit; a Ctrl-C is the operator's, where no handler takes it.
    return not isinstance(raised, Exception | GeneratorExit | KeyboardInterrupt)


def in_words(error: BaseException) -> str:
    """Return what an exception says, by its type alone where it cannot say anything."""
    try:
        said = str(error)
    except Exception:
        # It is made by whatever raised it, and may be as broken.
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
