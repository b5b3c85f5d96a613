"""What the whole life of a job costs the server that has it, the servers beside it, the database and the edge."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection

from bench.children import Child, Usage, until
from bench.daemons import Tally, run_fleet
from bench.load import calls_at_once
from bench.market import BenchMarket, bench_market
from bench.places import Place
from bench.report import Figure, milliseconds
from bench.rest import request
from bench.seeding import add_providers, add_renters
from bench.streams import opened
from bench.throughput import JOB

_DAEMONS = 64
_CLIENTS = 16
_SETTLE_SECONDS = 2
_IDLE_SECONDS = 4


async def measure_replicas(place: Place, numbers: Sequence[int], seconds: float) -> list[Figure]:
    """Let jobs live and end at one server while so many share the database; of SQLite there is one."""
    shared = place.engine == "postgresql"
    return [await _jobs_beside(place, number, seconds) for number in numbers if shared or number == 1]


async def _jobs_beside(place: Place, number: int, seconds: float) -> Figure:
    def seed(conn: Connection, now_ms: int) -> tuple[list[str], list[str]]:
        return add_renters(conn, now_ms, _CLIENTS), add_providers(conn, now_ms, _DAEMONS)

    # The edge knows the first alone: what the others do is what they do for the first one's jobs.
    async with bench_market(place, seed, servers=number, served=1) as (market, (renters, providers)):
        # A server that has all streams sends some of them to the others, and the edge sends them back.
        with Child(partial(run_fleet, returns=True), market.target, providers) as fleet:
            await opened(fleet, _DAEMONS)
            await asyncio.sleep(_SETTLE_SECONDS)
            before = _Spent.of(place, market)
            calls = [request("POST", "/jobs/submit", {"x-renter-key": key}, JOB) for key in renters]
            load = await calls_at_once(market, calls, seconds)
            submitted, ended = load.statuses[201], 0

            def all_ended() -> bool:
                nonlocal ended
                tally: Tally = fleet.ask("tally")
                ended += tally.jobs
                return ended >= submitted

            await until(all_ended, "the jobs", 60)
            # What the others follow comes to them a moment later.
            await asyncio.sleep(_SETTLE_SECONDS)
            spent = before.since(place, market)
            # Afterwards: a server that has just started has things to do that belong to no job.
            before = _Spent.of(place, market)
            await asyncio.sleep(_IDLE_SECONDS)
            idle = before.since(place, market)
    # Timers and beats go on without any job.
    each = [(all_ - idle_ * spent.at / idle.at) / ended for all_, idle_ in zip(spent.cpu, idle.cpu, strict=True)]
    first, *others = each[:number]
    numbers = {"server": first, "envoy": each[number]}
    if others:
        numbers["other_server"] = sum(others) / len(others)
    if place.database_pids is not None:
        numbers["database"] = each[number + 1]
    words = ", ".join(f"{name.replace('_', ' ')} {milliseconds(value)}" for name, value in numbers.items())
    servers = "1 server" if number == 1 else f"{number} servers"
    counts = {"jobs": ended, "load_seconds": load.spent.seconds}
    return Figure(f"life of a job at one of {servers}: CPU", words, numbers, counts)


class _Spent:
    """CPU seconds of each server, the edge and the database, at a moment or since one."""

    def __init__(self, at: float, cpu: Sequence[float]) -> None:
        self.at = at
        self.cpu = cpu

    @classmethod
    def of(cls, place: Place, market: BenchMarket) -> "_Spent":
        """What they have used until now."""
        pids = [market.servers[number].pid for number in range(len(market.servers))]
        cpu = [Usage.of(pid).cpu_seconds for pid in (*pids, market.envoy_pid)]
        if place.database_pids is not None:
            cpu.append(sum(Usage.of(pid, with_ended_children=True).cpu_seconds for pid in place.database_pids()))
        return cls(time.perf_counter(), cpu)

    def since(self, place: Place, market: BenchMarket) -> "_Spent":
        """What they used since this was read."""
        now = self.of(place, market)
        return _Spent(now.at - self.at, [new - old for new, old in zip(now.cpu, self.cpu, strict=True)])
