"""What operators cost who watch the market while it works."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from copy import copy

from sqlalchemy import Connection

from bench.children import Child
from bench.daemons import run_fleet
from bench.market import ADMIN_TOKEN, BenchMarket, Spent, bench_market
from bench.places import Place
from bench.report import Figure
from bench.rest import RestConnection, request
from bench.seeding import add_providers, add_renters
from bench.streams import opened
from bench.throughput import JOB

_TABS = 3
_JOBS_A_SECOND = 10
_SETTLE_SECONDS = 11
_QUEUE = ("/admin/queue/stream",)
_ALL = (*_QUEUE, "/admin/providers/stream", "/jobs/stream", "/admin/fleet/alerts/stream")


async def measure_overview(place: Place, daemons: int, seconds: float, rounds: int) -> list[Figure]:
    """Let jobs flow through a fleet while nobody watches, and with streams of the console in three tabs, in turns."""

    def seed(conn: Connection, now_ms: int) -> tuple[str, list[str]]:
        return add_renters(conn, now_ms, 1)[0], add_providers(conn, now_ms, daemons)

    quiet, overview, everything = _Watched(()), _Watched(_QUEUE), _Watched(_ALL)
    async with bench_market(place, seed, counting=True) as (market, (renter, keys)):
        with Child(run_fleet, market.target, keys) as fleet:
            await opened(fleet, daemons)
            await asyncio.sleep(_SETTLE_SECONDS)
            async with _jobs(market, renter) as submitted:
                for _ in range(rounds):
                    for watched in (quiet, overview, everything):
                        await watched.go_on(market, submitted, seconds)
    told = f"{daemons:,} daemons, {_JOBS_A_SECOND} jobs/s"
    return [
        Figure(
            f"{told}: CPU of the server, SQL statements a job",
            f"{quiet.cpu:.1%} of a core, {quiet.queries:.1f}",
            {"cpu": quiet.cpu, "statements_a_job": quiet.queries},
        ),
        *(
            Figure(
                f"{told}: what {_TABS} tabs on {name} add",
                f"{watched.cpu - quiet.cpu:+.1%} of a core, {watched.queries - quiet.queries:+.1f} statements a job",
                {"cpu": watched.cpu, "statements_a_job": watched.queries},
            )
            for name, watched in (("the queue", overview), ("fleet, jobs, alerts and queue", everything))
        ),
    ]


class _Watched:
    """What a market took in all while the same streams were open."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [*paths] * _TABS
        self._spent: list[Spent] = []
        self._jobs = 0

    async def go_on(self, market: BenchMarket, submitted: Callable[[], int], seconds: float) -> None:
        """Watch for a while longer."""
        async with AsyncExitStack() as stack:
            for path in self._paths:
                await stack.enter_async_context(_open(market.port, path))
            # What there is is told first, which is no part of what watching costs.
            await asyncio.sleep(2)
            reading, before = market.read(), submitted()
            await asyncio.sleep(seconds)
            self._spent.append(market.spent(reading))
            self._jobs += submitted() - before

    @property
    def cpu(self) -> float:
        """Shares of a core."""
        return sum(each.server_cpu for each in self._spent) / sum(each.seconds for each in self._spent)

    @property
    def queries(self) -> float:
        """Statements a job, those of beats and of timers among them."""
        return sum(each.queries for each in self._spent) / self._jobs


@asynccontextmanager
async def _open(port: int, path: str) -> AsyncIterator[None]:
    """Read a stream for the length of the context."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", path, {"x-admin-token": ADMIN_TOKEN}))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    reading = asyncio.create_task(_read(reader))
    try:
        yield
        assert not reading.done(), f"{path} has ended"
    finally:
        reading.cancel()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


@asynccontextmanager
async def _jobs(market: BenchMarket, renter: str) -> AsyncIterator[Callable[[], int]]:
    """Submit jobs at a steady pace for the length of the context, and tell how many; daemons end them at once."""
    numbers = itertools.count()
    flowing = asyncio.create_task(_submit(market.port, renter, numbers))
    try:
        # What a counter will say next can be read from a copy of it.
        yield lambda: next(copy(numbers))
        assert not flowing.done(), "no more jobs are submitted"
    finally:
        flowing.cancel()
        with suppress(asyncio.CancelledError):
            await flowing


async def _submit(port: int, renter: str, numbers: Iterator[int]) -> None:
    client = await RestConnection.open(port)
    call = request("POST", "/jobs/submit", {"x-renter-key": renter}, JOB)
    clock = asyncio.get_running_loop().time
    started = clock()
    for number in numbers:
        # By the clock and not by pauses: what one submission takes longer does not slow the flow.
        await asyncio.sleep(max(0.0, started + number / _JOBS_A_SECOND - clock()))
        status, body = await client.send(call)
        assert status == 201, body
