"""Blocking calls of libraries that know no asyncio, made from the event loop without stalling or outliving it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import TypeVar

from dc1.containment import contained

T = TypeVar("T")

_BUFFERED_ITEMS = 256


async def iterate(source: Callable[[], Iterable[T]]) -> AsyncGenerator[T]:
    """Yield what a blocking iterable yields, reading it in a thread of its own.

    The reader waits while the consumer is 256 items behind. It is a daemon thread, not one of the executor's: a read
    that never returns must not keep the interpreter from ending. Wrap in `contextlib.aclosing` to stop it early.

    What the iterable raises comes out here.
    """
    loop = asyncio.get_running_loop()
    # In tuples, as None among the items would look like their end.
    items: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue(_BUFFERED_ITEMS)
    stopped = threading.Event()

    def hand_over(item: tuple[T] | BaseException | None) -> None:
        # `result` holds this thread while the queue is full: that is what slows the source down.
        if not stopped.is_set():
            asyncio.run_coroutine_threadsafe(items.put(item), loop).result()

    def read() -> None:
        # The loop may be closed, or the handing over cancelled with it, when the consumer has gone.
        with contextlib.suppress(RuntimeError, asyncio.CancelledError, asyncio.InvalidStateError):
            try:
                for item in source():
                    hand_over((item,))
                    if stopped.is_set():
                        return
                hand_over(None)
            except BaseException as error:
                # Whatever it is: in this thread it would be lost, and the consumer wait for ever.
                hand_over(error)

    threading.Thread(target=read, name="blocking-iterator", daemon=True).start()
    try:
        while (item := await items.get()) is not None:
            if isinstance(item, BaseException):
                # It was no wish of the consumer's own, whatever it says.
                with contained():
                    raise item
            yield item[0]
    finally:
        stopped.set()
        # Room for a reader that is waiting to hand over.
        while not items.empty():
            items.get_nowait()
