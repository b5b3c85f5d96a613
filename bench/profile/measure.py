"""What one call of each kind costs, phase by phase."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from rich.table import Table

from bench.children import Child
from bench.completions.callers import call_for
from bench.completions.gateways import gateways
from bench.completions.stub_engine import run_engine
from bench.daemons import REPORT, run_fleet
from bench.lists import LIST_PATH
from bench.load import calls_at_once
from bench.market import BenchMarket, Seed, bench_market
from bench.places import Place
from bench.profile.phases import PHASES
from bench.profile.sampling import sampled
from bench.rest import request
from bench.seeding import add_providers, add_renters, copy_providers
from bench.streams import opened
from bench.throughput import JOB

_WARMING_SECONDS = 1.0
_PAGE = 50
_REFUSED = {"x-renter-key": f"dc1-renter-{'0' * 64}"}


@dataclass(frozen=True, slots=True)
class Load:
    """Something to do, which returns how often it was done, and the processes that it is done in."""

    processes: Mapping[str, int]
    run: Callable[[float], Awaitable[int]]


Opened = AbstractAsyncContextManager[Load]
Profile = dict[str, dict[str, float]]
"""Seconds of CPU by phase of one call, by what is called and by which process."""


async def measure_profile(
    place: Place, clients: int, seconds: float, machines: int, only: Sequence[str] | None
) -> Profile:
    """Do one kind of call after the other as fast as it is answered, or `only` some, and sample who answers."""
    place.directory.mkdir(parents=True, exist_ok=True)
    loads: dict[str, Callable[[], Opened]] = {
        "submit": lambda: _rest(place, partial(add_renters, count=clients), "POST /jobs/submit", "x-renter-key", JOB),
        "refused": lambda: _refusals(place, clients),
        "heartbeat": lambda: _rest(
            place, partial(add_providers, count=clients), "POST /providers/heartbeat", "x-provider-key", REPORT
        ),
        "beat": lambda: _beats(place, clients),
        "connect": lambda: _connections(place, clients),
        "list": lambda: _lists(place, clients, machines),
        "/v1": lambda: _completions(place, clients),
    }
    found: Profile = {}
    for name, load in loads.items():
        if only and name not in only:
            continue
        found |= await _profile(name, load(), seconds, place)
    return found


async def _profile(name: str, opening: Opened, seconds: float, place: Place) -> Profile:
    async with opening as load:
        await load.run(_WARMING_SECONDS)
        async with AsyncExitStack() as stack:
            watched = {
                who: await stack.enter_async_context(sampled(pid, place.directory))
                for who, pid in load.processes.items()
            }
            times = await load.run(seconds)
    if not times:
        raise RuntimeError(f"{name}: nothing was answered")
    return {
        f"{name}, {who}" if len(watched) > 1 else name: {phase: spent / times for phase, spent in one.spent.items()}
        for who, one in watched.items()
    }


async def _answers(market: BenchMarket, calls: list[bytes], seconds: float) -> int:
    return (await calls_at_once(market, calls, seconds)).statuses.total()


@asynccontextmanager
async def _rest(place: Place, seed: Seed[list[str]], route: str, header: str, body: object) -> AsyncIterator[Load]:
    async with bench_market(place, seed) as (market, keys):
        method, _, path = route.partition(" ")
        calls = [request(method, path, {header: key}, body) for key in keys]
        yield Load({"server": market.server_pid}, partial(_answers, market, calls))


@asynccontextmanager
async def _refusals(place: Place, clients: int) -> AsyncIterator[Load]:
    async with bench_market(place, partial(add_renters, count=1)) as (market, _):
        calls = [request("POST", "/jobs/submit", _REFUSED, JOB)] * clients
        yield Load({"server": market.server_pid}, partial(_answers, market, calls))


@asynccontextmanager
async def _lists(place: Place, clients: int, machines: int) -> AsyncIterator[Load]:
    async with bench_market(place, partial(copy_providers, count=machines)) as (market, _):
        calls = [request("GET", f"{LIST_PATH}?limit={_PAGE}", {})] * clients
        yield Load({"server": market.server_pid}, partial(_answers, market, calls))


@asynccontextmanager
async def _beats(place: Place, daemons: int) -> AsyncIterator[Load]:
    async with bench_market(place, partial(add_providers, count=daemons)) as (market, keys):
        with Child(run_fleet, market.target, keys, "eager") as fleet:
            await opened(fleet, daemons)

            async def beat(seconds: float) -> int:
                fleet.ask("tally")
                await asyncio.sleep(seconds)
                return int(fleet.ask("tally").beats)

            yield Load({"server": market.server_pid}, beat)


@asynccontextmanager
async def _connections(place: Place, daemons: int) -> AsyncIterator[Load]:
    async with bench_market(place, partial(add_providers, count=daemons)) as (market, keys):

        async def connect(seconds: float) -> int:
            times, until = 0, time.monotonic() + seconds
            while time.monotonic() < until:
                # A fleet that comes and goes: of each daemon a connection's worth of streams, and its first beat.
                with Child(run_fleet, market.target, keys) as fleet:
                    await opened(fleet, daemons)
                times += daemons
            return times

        yield Load({"server": market.server_pid}, connect)


@asynccontextmanager
async def _completions(place: Place, callers: int) -> AsyncIterator[Load]:
    with Child(run_engine) as engine:
        async with gateways(place, engine.answer(), callers, None) as (_, way):

            async def call(seconds: float) -> int:
                return (await call_for(way.port, way.keys, seconds)).answers

            yield Load({name: way.processes[name]() for name in ("server", "daemon")}, call)


def profile_table(engine: str, profile: Profile) -> Table:
    """Show a profile: milliseconds of CPU, a column a call."""
    drawn = Table(f"{engine}: ms of CPU a call", *profile)
    for phase in PHASES:
        spent = [one.get(phase, 0.0) for one in profile.values()]
        if any(spent):
            drawn.add_row(phase, *(f"{1000 * each:.3f}" if each else "" for each in spent))
    drawn.add_section()
    drawn.add_row("all of it", *(f"{1000 * sum(one.values()):.3f}" for one in profile.values()))
    return drawn
