"""How many daemons can hold streams, and what they cost: memory, CPU, SQL."""

import asyncio
import time
from functools import partial
from pathlib import Path

from bench.children import Child
from bench.daemons import Tally, run_fleet
from bench.market import BenchMarket, Spent, bench_market
from bench.report import Finding, each_second, milliseconds, percentile
from bench.seeding import add_providers

_OPEN_SECONDS = 120
_SETTLE_SECONDS = 11


async def measure_streams(directory: Path, sizes: list[int], hold_seconds: float) -> Finding:
    """Let fleets of these sizes hold their streams for a while, beating every 10 s."""
    columns: dict[str, dict[str, str]] = {}
    numbers = {}
    for daemons in sizes:
        async with bench_market(directory, partial(add_providers, count=daemons)) as (
            market,
            keys,
        ):
            before = market.read()
            with Child(run_fleet, market.target, keys, False) as fleet:
                open_seconds = await _opened(fleet, daemons)
                # The first beats come at random moments of the first interval.
                await asyncio.sleep(_SETTLE_SECONDS)
                tally, spent = await _hold(market, fleet, hold_seconds)
                after = market.read()
        server_kib = (after.server.memory_kib - before.server.memory_kib) / daemons
        envoy_kib = (after.envoy.memory_kib - before.envoy.memory_kib) / daemons
        minutes = spent.seconds / 60
        columns[f"{daemons:,} daemons"] = {
            "streams open at once": f"{tally.open:,}",
            "all open after": f"{open_seconds:.1f} s",
            "beats": each_second(tally.beats, spent.seconds),
            "a beat is answered within, p50": milliseconds(percentile(tally.latencies, 50)),
            "p99": milliseconds(percentile(tally.latencies, 99)),
            "SQL statements a minute": f"{spent.queries / minutes:,.0f}",
            "commits a minute": f"{spent.commits / minutes:,.0f}",
            "server, share of a core": f"{spent.server_cpu / spent.seconds:.1%}",
            "Envoy, share of a core": f"{spent.envoy_cpu / spent.seconds:.1%}",
            "server's memory, each stream": f"{server_kib:.0f} KiB",
            "Envoy's memory, each stream": f"{envoy_kib:.0f} KiB",
        }
        numbers[str(daemons)] = {
            "open": tally.open,
            "ended": tally.ended,
            "beats_per_second": tally.beats / spent.seconds,
            "statements": spent.statements,
            "seconds": spent.seconds,
        }
    return Finding(
        "Daemons that hold a stream through Envoy, a beat every 10 s",
        ("", *columns),
        [(name, *(column[name] for column in columns.values())) for name in next(iter(columns.values()))],
        "A beat costs no SQL: what all daemons reported is stored by one statement a second, however many they are.",
        numbers,
    )


async def _opened(fleet: Child, daemons: int) -> float:
    started = time.perf_counter()
    while (tally := fleet.ask("tally")).open < daemons:
        if tally.ended or time.perf_counter() - started > _OPEN_SECONDS:
            raise RuntimeError(f"{tally.open} of {daemons} streams are open, {tally.ended} have ended")
        await asyncio.sleep(0.1)
    return time.perf_counter() - started


async def _hold(market: BenchMarket, fleet: Child, seconds: float) -> tuple[Tally, Spent]:
    fleet.ask("tally")
    reading = market.read()
    await asyncio.sleep(seconds)
    tally: Tally = fleet.ask("tally")
    return tally, market.spent(reading)


async def measure_eager_beats(directory: Path, daemons: int, seconds: float) -> tuple[Tally, Spent]:
    """Let daemons beat as fast as they are answered."""
    async with bench_market(directory, partial(add_providers, count=daemons)) as (market, keys):
        with Child(run_fleet, market.target, keys, True) as fleet:
            await _opened(fleet, daemons)
            await asyncio.sleep(1)
            return await _hold(market, fleet, seconds)
