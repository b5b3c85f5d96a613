"""A large fleet while jobs flow: how soon beats are answered and jobs start, and how soon all are back."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from bench.children import Child, Usage
from bench.daemons import Tally, run_fleet
from bench.market import BenchMarket, bench_market
from bench.places import Place
from bench.report import Figure, latency
from bench.rest import RestConnection, request
from bench.seeding import add_providers, add_renters
from bench.throughput import JOB

_JOBS_A_SECOND = 10
_SETTLE_SECONDS = 11
_OPEN_SECONDS = 180
_RESTART_SECONDS = 0.5
"""As `dc1 up` waits before it starts a server anew."""
_NOTICE_SECONDS = 1
_LONG_HOLD_SECONDS = 0.04


async def measure_fleet(place: Place, daemons: int, carriers: int, seconds: float) -> list[Figure]:
    """Let a fleet connect, hold its streams while jobs flow, and lose its server: killed, and drained."""
    name = f"{daemons:,} daemons"
    async with _market(place, daemons, carriers, servers=1) as (market, fleet, renter):
        market.servers[0].ask("watch")
        reading = market.read()
        opening = await _all_open(fleet, daemons)
        connected = market.spent(reading)
        connecting_holds = market.servers[0].ask("holds")
        await asyncio.sleep(_SETTLE_SECONDS)
        fleet.take()
        market.servers[0].ask("holds")
        reading = market.read()
        async with _jobs(market, renter) as submitted:
            await asyncio.sleep(seconds)
            spent = market.spent(reading)
            # What was submitted last may start a moment later.
            await asyncio.sleep(1)
            told = fleet.take()
        holds = market.servers[0].ask("holds")
        memory = Usage.of(market.server_pid).memory_kib / 1024, Usage.of(market.envoy_pid).memory_kib / 1024
        starts = [told.started[job] - sent for job, sent in submitted.items() if job in told.started]
        killed = await _lost(market, fleet, daemons, drained=False)
        drained = await _lost(market, fleet, daemons, drained=True)
    server, envoy = connected.server_cpu / daemons, connected.envoy_cpu / daemons
    return [
        opening.figure(f"{name}: connecting", {"server": server, "envoy": envoy}),
        _holds(f"{name}: the loop held up while they connect", connecting_holds),
        latency(f"{name}: beat to answer", told.latencies),
        latency(f"{name}: the daemons' own loop late, in the same time", told.delays),
        latency(f"{name}, {_JOBS_A_SECOND} jobs/s: submit to start", starts),
        _holds(f"{name}: the loop held up while they beat", holds),
        Figure(
            f"{name}: CPU, shares of a core",
            f"server {spent.server_cpu / spent.seconds:.0%}, Envoy {spent.envoy_cpu / spent.seconds:.0%}",
            {"server": spent.server_cpu / spent.seconds, "envoy": spent.envoy_cpu / spent.seconds},
        ),
        Figure(
            f"{name}: memory",
            f"server {memory[0]:.0f} MiB, Envoy {memory[1]:.0f} MiB",
            {"server_mib": memory[0], "envoy_mib": memory[1]},
        ),
        killed.figure(f"{name}: all back after kill -9"),
        drained.figure(f"{name}: all back after a drain"),
    ]


async def measure_loss(place: Place, daemons: int, carriers: int) -> list[Figure]:
    """Let a fleet of two servers, which share PostgreSQL, lose one of them."""
    if place.engine != "postgresql":
        return []
    async with _market(place, daemons, carriers, servers=2) as (market, fleet, _):
        await _all_open(fleet, daemons)
        await asyncio.sleep(_SETTLE_SECONDS)
        before = fleet.take()
        began = time.perf_counter()
        market.servers.kill(1)
        back = await _back_for_good(fleet, daemons, before, since=began)
    return [back.figure(f"{daemons:,} daemons: all back after the loss of one of two servers")]


class _Fleet:
    """Several processes of daemons, as one."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children

    def take(self) -> Tally:
        """What all of them saw since the last time."""
        sum_ = Tally()
        for tally in [child.ask("tally") for child in self._children]:
            sum_.open += tally.open
            sum_.ended += tally.ended
            sum_.refused += tally.refused
            sum_.latencies += tally.latencies
            sum_.started |= tally.started
            sum_.delays += tally.delays
        return sum_


@asynccontextmanager
async def _market(
    place: Place, daemons: int, carriers: int, servers: int
) -> AsyncIterator[tuple[BenchMarket, _Fleet, str]]:
    def seed(conn: Connection, now_ms: int) -> tuple[str, list[str]]:
        return add_renters(conn, now_ms, 1)[0], add_providers(conn, now_ms, daemons)

    async with AsyncExitStack() as stack:
        market, (renter, keys) = await stack.enter_async_context(bench_market(place, seed, servers=servers))
        children = []
        for part in range(carriers):
            child = Child(partial(run_fleet, returns=True), market.target, keys[part::carriers])
            children.append(stack.enter_context(child))
        yield market, _Fleet(children), renter


@dataclass(frozen=True, slots=True)
class _Opening:
    """How long it took until all streams were open, and how often one was refused: of a server that serves, in all."""

    seconds: float
    refused: int
    refused_while_away: int = 0

    def figure(self, what: str, cpu: dict[str, float] | None = None) -> Figure:
        """The line of it; `cpu` is what each daemon cost, in seconds."""
        shown = f"{self.seconds:.1f} s, {self.refused} refused"
        if cpu:
            shown += f", each {', '.join(f'{name} {value * 1000:.2f} ms' for name, value in cpu.items())}"
        counts = {"refused": self.refused, "refused_while_away": self.refused_while_away}
        return Figure(what, shown, {"seconds": self.seconds, **(cpu or {})}, counts)


async def _lost(market: BenchMarket, fleet: _Fleet, daemons: int, *, drained: bool) -> _Opening:
    """Have the fleet lose its one server, which is started anew as `dc1 up` does."""
    ended = fleet.take().ended
    began = time.perf_counter()
    if drained:
        await market.servers.drain(0)
    else:
        market.servers.kill(0)
    await asyncio.sleep(_RESTART_SECONDS)
    await market.servers.start_again(0)
    away = fleet.take()
    back = await _all_open(fleet, daemons, since=began, lost=away.ended - ended)
    return _Opening(back.seconds, back.refused - away.refused, away.refused)


async def _all_open(fleet: _Fleet, daemons: int, since: float | None = None, lost: int = 0) -> _Opening:
    started = time.perf_counter() if since is None else since
    while (tally := fleet.take()).open < daemons:
        if time.perf_counter() - started > _OPEN_SECONDS:
            raise RuntimeError(f"{tally.open} of {daemons} streams are open, {tally.ended} have ended")
        await asyncio.sleep(0.1)
    assert not lost or tally.ended >= lost
    return _Opening(time.perf_counter() - started, tally.refused)


async def _back_for_good(fleet: _Fleet, daemons: int, before: Tally, since: float) -> _Opening:
    """Wait until all are open and no more end: who has not noticed yet that its stream is gone counts as open."""
    lost = 0
    while time.perf_counter() - since < _OPEN_SECONDS:
        opening = await _all_open(fleet, daemons, since)
        await asyncio.sleep(_NOTICE_SECONDS)
        after = fleet.take()
        if after.ended - before.ended == lost > daemons / 4:
            return _Opening(opening.seconds, opening.refused - before.refused)
        lost = after.ended - before.ended
    raise RuntimeError(f"{lost} of {daemons} lost their stream")


@asynccontextmanager
async def _jobs(market: BenchMarket, renter: str) -> AsyncIterator[dict[str, float]]:
    """Submit jobs at a steady pace while the block runs; yields when each was sent."""
    sent: dict[str, float] = {}
    flowing = asyncio.create_task(_submit(market.port, renter, sent))
    try:
        yield sent
        assert not flowing.done(), "no more jobs are submitted"
    finally:
        flowing.cancel()
        with suppress(asyncio.CancelledError):
            await flowing


async def _submit(port: int, renter: str, sent: dict[str, float]) -> None:
    client = await RestConnection.open(port)
    call = request("POST", "/jobs/submit", {"x-renter-key": renter}, JOB)
    started = time.perf_counter()
    for number in itertools.count():
        # By the clock and not by pauses: what one submission takes longer does not slow the flow.
        await asyncio.sleep(max(0.0, started + number / _JOBS_A_SECOND - time.perf_counter()))
        at = time.perf_counter()
        status, body = await client.send(call)
        assert status == 201, body
        sent[json.loads(body)["job"]["job_id"]] = at


def _holds(what: str, holds: Sequence[float]) -> Figure:
    """The line of what kept the loop from everybody else, in CPU time of its thread."""
    long, longest = sum(held > _LONG_HOLD_SECONDS for held in holds), max(holds, default=0.0)
    shown = f"{long} times over {_LONG_HOLD_SECONDS * 1000:.0f} ms, longest {longest * 1000:.0f} ms"
    return Figure(what, shown, {"longest": longest}, {"long": long})
