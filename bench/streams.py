"""How many daemons can hold streams, and what they cost: memory, CPU, SQL."""

import asyncio
import time
from functools import partial

from bench.children import Child
from bench.daemons import Tally, run_fleet
from bench.market import BenchMarket, Spent, bench_market
from bench.places import Place
from bench.report import Figure
from bench.seeding import add_providers

_OPEN_SECONDS = 120
_SETTLE_SECONDS = 11


async def measure_streams(place: Place, sizes: list[int], hold_seconds: float) -> list[Figure]:
    """Let fleets of these sizes hold their streams for a while, beating every 10 s."""
    return [figure for daemons in sizes for figure in await _streams(place, daemons, hold_seconds)]


async def _streams(place: Place, daemons: int, hold_seconds: float) -> list[Figure]:
    async with bench_market(place, partial(add_providers, count=daemons), counting=True) as (market, keys):
        before = market.read()
        with Child(run_fleet, market.target, keys) as fleet:
            open_seconds, refused = await opened(fleet, daemons)
            # The first beats come at random moments of the first interval.
            await asyncio.sleep(_SETTLE_SECONDS)
            tally, spent = await _hold(market, fleet, hold_seconds)
            after = market.read()
    assert tally.open == daemons, f"{tally.ended} streams have ended"
    minutes = spent.seconds / 60
    server, envoy = spent.server_cpu / spent.seconds, spent.envoy_cpu / spent.seconds
    server_kib = (after.server.memory_kib - before.server.memory_kib) / daemons
    envoy_kib = (after.envoy.memory_kib - before.envoy.memory_kib) / daemons
    fleet_of = f"{daemons:,} daemons on streams"
    return [
        Figure(
            f"{fleet_of}: SQL statements a minute",
            f"{spent.queries / minutes:,.0f}",
            {"per_minute": spent.queries / minutes},
            {"statements": spent.queries, "seconds": spent.seconds, "beats": tally.beats},
        ),
        Figure(
            f"{fleet_of}: CPU, shares of a core",
            f"server {server:.0%}, Envoy {envoy:.0%}",
            {"server": server, "envoy": envoy, "all_open_after": open_seconds},
            {"refused_when_busy": refused},
        ),
        Figure(
            f"{fleet_of}: memory a stream",
            f"server {server_kib:.0f} KiB, Envoy {envoy_kib:.0f} KiB",
            {"server_kib": server_kib, "envoy_kib": envoy_kib},
        ),
    ]


async def opened(fleet: Child, daemons: int) -> tuple[float, int]:
    """Return how many seconds it took until all streams were open, and how often one was refused until then."""
    started = time.perf_counter()
    while (tally := fleet.ask("tally")).open < daemons:
        if tally.ended or time.perf_counter() - started > _OPEN_SECONDS:
            raise RuntimeError(f"{tally.open} of {daemons} streams are open, {tally.ended} have ended")
        await asyncio.sleep(0.1)
    return time.perf_counter() - started, tally.refused


async def _hold(market: BenchMarket, fleet: Child, seconds: float) -> tuple[Tally, Spent]:
    fleet.ask("tally")
    reading = market.read()
    await asyncio.sleep(seconds)
    tally: Tally = fleet.ask("tally")
    return tally, market.spent(reading)


async def measure_eager_beats(place: Place, daemons: int, seconds: float) -> tuple[Tally, Spent]:
    """Let daemons beat as fast as they are answered."""
    async with bench_market(place, partial(add_providers, count=daemons)) as (market, keys):
        with Child(run_fleet, market.target, keys, "eager") as fleet:
            await opened(fleet, daemons)
            await asyncio.sleep(1)
            return await _hold(market, fleet, seconds)
