"""What is done again and again."""

import asyncio

from structlog.testing import capture_logs

from dc1.control.periodic import every
from tests.support.made_up_failures import KINDS


async def test_a_step_that_fails_is_told_of_and_taken_again() -> None:
    taken = 0
    again = asyncio.Event()

    async def step() -> None:
        nonlocal taken
        taken += 1
        if taken == 1:
            raise RuntimeError("no luck")
        again.set()

    with capture_logs() as logs:
        rounds = asyncio.create_task(every(0, step))
        async with asyncio.timeout(10):
            await again.wait()
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)

    (line,) = logs
    assert (line["event"], line["log_level"]) == ("round_failed", "error")
    assert line["step"].endswith("step")


async def test_an_outage_is_told_ever_more_rarely_and_its_end_once() -> None:
    taken = 0
    works = asyncio.Event()

    async def step() -> None:
        nonlocal taken
        taken += 1
        if taken <= 100:
            raise RuntimeError("the database is away")
        works.set()

    with capture_logs() as logs:
        rounds = asyncio.create_task(every(0, step))
        async with asyncio.timeout(10):
            await works.wait()
        await asyncio.sleep(0)
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)

    assert [line["in_a_row"] for line in logs if line["event"] == "round_failed"] == [1, 2, 4, 8, 16, 32, 64]
    assert [line["failed"] for line in logs if line["event"] == "rounds_work_again"] == [100]


async def test_no_kind_of_failure_ends_the_rounds() -> None:
    left = list(KINDS)
    survived = asyncio.Event()

    async def step() -> None:
        if left:
            failure = left.pop()
            raise failure()
        survived.set()

    with capture_logs():
        rounds = asyncio.create_task(every(0, step))
        async with asyncio.timeout(10):
            await survived.wait()
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)
    assert rounds.cancelled()
