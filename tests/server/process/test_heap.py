"""When the garbage collector looks at what a server made."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from dc1.server.process.heap import WholeLook, nothing_collected, tend_heap


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
async def test_what_is_replaced_again_and_again_does_not_gather_for_one_long_look() -> None:
    """More of it than the collector would ever find by counting: what is freed takes from the count what is made."""
    known: list[list[int]] = [[number] for number in range(50_000)]
    tend_heap()
    was_looked_at = asyncio.Event()

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 1:
            was_looked_at.set()

    gc.callbacks.append(note)
    try:
        async with asyncio.timeout(30):
            for number in range(50_000):
                known[number] = [number]
            assert len(gc.get_objects(generation=0)) > 40_000
            await was_looked_at.wait()
    finally:
        gc.callbacks.remove(note)
    assert len(gc.get_objects(generation=0)) + len(gc.get_objects(generation=1)) < 40_000


def test_everything_is_looked_at_once_the_process_has_grown() -> None:
    """A look takes 1.3 s of a server with ten thousand streams, every 15 minutes though there was nothing to find."""
    sizes = iter([500, 510, 540, 480, 520, 540, 530, 560, 590, 580])
    looks: list[None] = []
    look = WholeLook(lambda: next(sizes), lambda: looks.append(None))
    counts = []
    for _ in range(6):
        look()
        counts.append(len(looks))
    # Of what it shrank to 540 are more than a tenth; then 530 is what was left.
    assert counts == [0, 0, 0, 0, 1, 1]
    look()
    assert len(looks) == 2


@pytest.mark.usefixtures("collector")
def test_nothing_is_looked_at_while_a_fleet_is_loaded() -> None:
    """It was a third of what a server takes to start: a fleet that grows was looked at again and again."""
    looks: list[str] = []

    def note(phase: str, _: dict[str, int]) -> None:
        looks.append(phase)

    gc.callbacks.append(note)
    try:
        with nothing_collected():
            kept = [[number] for number in range(20_000)]
            assert looks == []
    finally:
        gc.callbacks.remove(note)
    assert len(kept) == 20_000
    assert gc.isenabled()
