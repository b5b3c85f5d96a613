"""What threads hand to the loop: all of it, in order, whoever else comes at the same moment."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import Any, cast

import pytest

from dc1.control.handover import Handover


class _Slow(list[Any]):
    """A list that another thread may add to before whoever added to it looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2)

    def append(self, thing: Any) -> None:
        super().append(thing)
        # Who is alone with it waits in vain.
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.2)


async def test_nothing_is_left_lying_when_threads_come_at_once() -> None:
    """Of two that each saw the other's thing wait neither woke the loop, and nothing was taken ever again."""
    taken: list[int] = []
    handover, loop = Handover[int](taken.append), asyncio.get_running_loop()
    handover._waiting = _Slow()
    with ThreadPoolExecutor(2) as threads:
        puts = [loop.run_in_executor(threads, handover.put, loop, number, copy_context()) for number in range(2)]
        await asyncio.gather(*puts)
    # What was put before the threads ended was asked of the loop before that.
    assert sorted(taken) == [0, 1]


async def test_what_the_loop_is_asked_afterwards_comes_behind() -> None:
    """As when a unit of work fails: what it handed over has to be there before it is withdrawn."""
    done: list[str] = []
    handover = Handover[str](done.append)
    loop = asyncio.get_running_loop()

    def work() -> None:
        handover.put(loop, "one", copy_context())
        handover.put(loop, "other", copy_context())
        loop.call_soon_threadsafe(done.append, "afterwards")

    await asyncio.to_thread(work)
    await asyncio.sleep(0)
    assert done == ["one", "other", "afterwards"]


async def test_a_thread_that_is_slow_to_wake_the_loop_holds_up_no_other_s_thing() -> None:
    """Its call was offered behind its commit, as if that were still on its way, and stopped while it ran."""
    done: list[str] = []
    handover, loop = Handover[str](done.append), asyncio.get_running_loop()
    is_waking, has_committed = threading.Event(), threading.Event()

    class Stalled:
        """The loop, of a thread that stands still as it is about to wake it."""

        def call_soon_threadsafe(self, *call: Any) -> None:
            is_waking.set()
            has_committed.wait(0.2)
            loop.call_soon_threadsafe(*call)

    def first() -> None:
        handover.put(cast(asyncio.AbstractEventLoop, Stalled()), "one", copy_context())

    def second() -> None:
        is_waking.wait()
        handover.put(loop, "other", copy_context())
        loop.call_soon_threadsafe(done.append, "the other's commit")
        has_committed.set()

    await asyncio.gather(asyncio.to_thread(first), asyncio.to_thread(second))
    await asyncio.sleep(0)
    assert done == ["one", "other", "the other's commit"]


async def test_one_that_fails_keeps_no_other_from_being_taken(capsys: pytest.CaptureFixture[str]) -> None:
    who = ContextVar("who", default="nobody")
    taken: list[tuple[str, str]] = []

    def take(thing: str) -> None:
        if thing == "odd":
            raise ValueError(thing)
        taken.append((thing, who.get()))

    handover, loop = Handover[str](take), asyncio.get_running_loop()
    context = copy_context()
    context.run(who.set, "somebody")
    for thing in ("odd", "even"):
        handover.put(loop, thing, context)
    await asyncio.sleep(0)
    assert taken == [("even", "somebody")]
    assert "handover_failed" in capsys.readouterr().out
