"""How much goes through in a second: submissions, jobs given out, heartbeats."""

import os
from functools import partial

from sqlalchemy import Connection

from bench.children import Child, Usage, until
from bench.daemons import REPORT, Tally, run_fleet
from bench.load import calls_at_once
from bench.market import bench_market
from bench.places import Place
from bench.report import Figure, latency, milliseconds, rate
from bench.rest import request
from bench.seeding import add_providers, add_renters, add_waiting_jobs
from bench.streams import measure_eager_beats

JOB = {"job_type": "benchmark", "duration_minutes": 0.1, "params": {"matrix_size": 1024}}
SLOTS = 64
_CLAIM_SECONDS = 90


async def measure_submits(place: Place, clients: int, seconds: float) -> list[Figure]:
    """Let renters submit as fast as they are answered."""
    async with bench_market(place, partial(add_renters, count=clients)) as (market, keys):
        calls = [request("POST", "/jobs/submit", {"x-renter-key": key}, JOB) for key in keys]
        before = Usage.of(os.getpid())
        load = await calls_at_once(market, calls, seconds)
        client = Usage.of(os.getpid()).cpu_seconds - before.cpu_seconds
    submitted, spent = load.statuses[201], load.spent
    cpu = {"server": spent.server_cpu / submitted, "envoy": spent.envoy_cpu / submitted}
    return [
        rate("submits, durable", submitted, spent.seconds),
        latency("a submit among the others", load.latencies),
        Figure("CPU of a submit", f"{spent.each(submitted)}, client {milliseconds(client / submitted)}", cpu),
    ]


async def measure_claims(place: Place, daemons: int, jobs: int) -> list[Figure]:
    """Let daemons with more than enough GPUs take a queue of jobs.

    A job counts once its daemon was told to start it.
    """

    def seed(conn: Connection, now_ms: int) -> list[str]:
        (renter_key,) = add_renters(conn, now_ms, 1)
        assert renter_key
        add_waiting_jobs(conn, now_ms, 1, jobs)
        return add_providers(conn, now_ms, daemons)

    async with bench_market(place, seed) as (market, keys):
        with Child(run_fleet, market.target, keys, "hold", SLOTS) as fleet:
            starts: list[float] = []

            def all_started() -> bool:
                tally: Tally = fleet.ask("tally")
                starts.extend(tally.starts)
                return len(starts) >= jobs

            await until(all_started, "the claims", _CLAIM_SECONDS)
    return [rate("claims: jobs given out and started", len(starts) - 1, max(starts) - min(starts))]


async def measure_heartbeats(place: Place, clients: int, seconds: float) -> list[Figure]:
    """Let daemons report as fast as they are answered: by POST, then on their streams."""
    async with bench_market(place, partial(add_providers, count=clients)) as (market, keys):
        calls = [request("POST", "/providers/heartbeat", {"x-provider-key": key}, REPORT) for key in keys]
        posts = await calls_at_once(market, calls, seconds)
    beats, spent = await measure_eager_beats(place, clients, seconds)
    return [
        rate("heartbeats by POST", posts.statuses[200], posts.spent.seconds),
        rate("heartbeats on streams", beats.beats, spent.seconds),
    ]
