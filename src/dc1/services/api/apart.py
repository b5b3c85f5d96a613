"""Work on large JSON, done beside the event loop so that nobody else's call waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

T = TypeVar("T")

# Python spends about 3 µs on a value, of which a message has one in two bytes at worst: below this the loop stands
# still for 50 ms at most.
_LARGE_BYTES: Final = 32 * 1024

# One thread: each that works takes 5 ms turns with the loop, so that several would slow everybody down by so many.
_THREAD: Final = ThreadPoolExecutor(1, thread_name_prefix="large-json")


async def apart(size: int, work: Callable[[], T]) -> T:
    """Return what `work` on JSON of about `size` bytes returns, on a thread of its own if that is much."""
    if size <= _LARGE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREAD, copy_context().run, work)
