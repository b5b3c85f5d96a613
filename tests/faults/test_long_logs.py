"""A daemon whose job prints much: through Envoy, over a lost stream, and without an end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.base import Readiness, Result, Sink, Work
from dc1.domain.jobs.log_budget import CUT_NOTICE, MOST_LINES
from dc1.domain.jobs.states import JobType
from dc1.testing.edge import Edge
from dc1.testing.machine import MadeUpMachine
from dc1.testing.people import Renter, answered
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.faults.market import RealMarket, await_status, submit

# It gives a daemon the time to find the server again.
pytestmark = pytest.mark.settings(stream_grace_seconds=60)

LINES = 100_000
PAGE = 1_000


class Printer:
    """A runner that prints as fast as it is let: half of its lines, and the rest when the test says so."""

    kinds = frozenset({JobType.LLM_INFERENCE})

    def __init__(self, lines: int, *, in_halves: bool = False) -> None:
        self._lines = lines
        self.half = threading.Event()
        self.go_on = threading.Event()
        if not in_halves:
            self.go_on.set()

    async def probe(self) -> Readiness:
        return Readiness(True, "prints")

    async def run(self, work: Work, sink: Sink) -> Result:
        for number in range(1, self._lines + 1):
            await sink.log("info", f"line {number}")
            if number == self._lines // 2:
                self.half.set()
                await asyncio.to_thread(self.go_on.wait)
        return Result("done")

    async def aclose(self) -> None:
        self.go_on.set()


@asynccontextmanager
async def printing(market: RealMarket, edge: Edge, printer: Printer) -> AsyncIterator[None]:
    """A real daemon, in this process, with such a runner."""
    account = await asyncio.to_thread(market.add_account)
    agent = Agent(DaemonConfig(key=account.key, server=edge.target), [printer], MadeUpMachine())
    running = asyncio.create_task(agent.run())
    try:
        # What is submitted before a machine is there is held at the usual price, and this one costs more.
        await asyncio.to_thread(eventually, lambda: account.liveness() == "online", "the daemon being online", 30)
        yield
    finally:
        agent.drain()
        agent.drain()
        await running


def read_log(renter: Renter, job: Json) -> list[str]:
    messages: list[str] = []
    while True:
        page = answered(renter.get(f"/jobs/{job['id']}/logs", params={"since": len(messages), "limit": PAGE}))
        messages += [row["message"] for row in page["logs"]]
        if not page["has_more"]:
            return messages


def numbered(lines: int) -> list[str]:
    return [f"line {number}" for number in range(1, lines + 1)]


def finished_log(renter: Renter) -> list[str]:
    job = submit(renter)
    await_status(renter, job, "completed", 60)
    return read_log(renter, job)


async def test_a_stream_that_breaks_in_the_middle_loses_and_doubles_no_line(
    market: RealMarket, edge: Edge, renter: Renter
) -> None:
    printer = Printer(LINES, in_halves=True)

    def broken_in_the_middle() -> list[str]:
        job = submit(renter)
        assert printer.half.wait(60)
        market.server.kill()
        # It prints on while there is nobody to tell.
        printer.go_on.set()
        time.sleep(1)
        market.start_server()
        await_status(renter, job, "completed", 60)
        return read_log(renter, job)

    async with printing(market, edge, printer):
        assert await asyncio.to_thread(broken_in_the_middle) == numbered(LINES)


async def test_what_prints_without_an_end_is_cut_at_the_budget_in_one_line(
    market: RealMarket, edge: Edge, renter: Renter
) -> None:
    """What comes before is whole and in order, two hundred thousand lines in one burst."""
    async with printing(market, edge, Printer(MOST_LINES + 20_000)):
        log = await asyncio.to_thread(finished_log, renter)
        assert log[:-1] == numbered(MOST_LINES)
        assert log[-1] == CUT_NOTICE
