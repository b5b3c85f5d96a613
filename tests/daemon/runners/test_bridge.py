"""Blocking iterables read from the event loop."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator

import pytest

from dc1.daemon.runners import bridge


async def test_yields_in_order_and_ends() -> None:
    assert [item async for item in bridge.iterate(lambda: range(1000))] == list(range(1000))


async def test_errors_come_through_after_what_was_read() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    items = bridge.iterate(source)
    assert await anext(items) == 1
    with pytest.raises(OSError, match="gone"):
        await anext(items)


async def test_a_slow_consumer_slows_the_reader() -> None:
    produced = itertools.count()
    async with contextlib.aclosing(bridge.iterate(lambda: produced)) as items:
        assert [await anext(items) for _ in range(10)] == list(range(10))
    assert next(produced) < 1000


async def test_stopping_early_ends_the_reader() -> None:
    ended = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(100_000)
        finally:
            ended.set()

    async with contextlib.aclosing(bridge.iterate(source)) as items:
        await anext(items)
    assert await asyncio.to_thread(ended.wait, 10)
