"""How much goes through in a second: submissions, whole jobs, heartbeats."""

from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from bench.children import Child
from bench.daemons import REPORT, Tally, run_fleet
from bench.load import Load, calls_at_once
from bench.market import Spent, bench_market
from bench.report import Finding, each_second, milliseconds, percentile
from bench.rest import request
from bench.seeding import add_providers, add_renters
from bench.streams import measure_eager_beats
from bench.waiting import until

JOB = {"job_type": "benchmark", "duration_minutes": 0.1, "params": {"matrix_size": 1024}}


async def measure_throughput(directory: Path, clients: int, seconds: float) -> Finding:
    """Saturate one server with each kind of call in turn."""
    submits = await _submits(directory, clients, seconds)
    jobs, tally = await _whole_jobs(directory, clients, seconds)
    posts = await _post_heartbeats(directory, clients, seconds)
    beats, beats_spent = await measure_eager_beats(directory, clients, seconds)
    return Finding(
        f"Throughput of one server, {clients} clients at once",
        ("through Envoy", "each second", "p50 / p99", "SQL each", "commits each", "CPU, shares of a core"),
        (
            _row("POST /jobs/submit, durable", submits.statuses[201], submits.latencies, submits.spent),
            _row("submit, run and settle, whole jobs", tally.jobs, jobs.latencies, jobs.spent),
            _row("POST /providers/heartbeat", posts.statuses[200], posts.latencies, posts.spent),
            _row("beats on the stream", beats.beats, beats.latencies, beats_spent),
        ),
        "The clients run on the same cores. One process serves on one core; several share the work on PostgreSQL.",
        {
            "submits": dict(submits.statuses),
            "jobs": tally.jobs,
            "heartbeats": dict(posts.statuses),
            "beats": beats.beats,
            "seconds": seconds,
        },
    )


def _row(what: str, count: int, latencies: list[float], spent: Spent) -> tuple[str, ...]:
    return (
        what,
        each_second(count, spent.seconds),
        f"{milliseconds(percentile(latencies, 50))} / {milliseconds(percentile(latencies, 99))}",
        f"{spent.queries / max(1, count):.1f}",
        f"{spent.commits / max(1, count):.2f}",
        spent.load,
    )


async def _submits(directory: Path, clients: int, seconds: float) -> Load:
    async with bench_market(directory, partial(add_renters, count=clients)) as (market, keys):
        calls = [request("POST", "/jobs/submit", {"x-renter-key": key}, JOB) for key in keys]
        return await calls_at_once(market, calls, seconds)


async def _whole_jobs(directory: Path, clients: int, seconds: float) -> tuple[Load, Tally]:
    def seed(conn: Connection, now_ms: int) -> tuple[list[str], list[str]]:
        return add_renters(conn, now_ms, clients), add_providers(conn, now_ms, clients)

    async with bench_market(directory, seed) as (market, (renter_keys, provider_keys)):
        with Child(run_fleet, market.target, provider_keys, False) as fleet:
            await until(lambda: fleet.ask("tally").open == clients, "the streams")
            calls = [request("POST", "/jobs/submit", {"x-renter-key": key}, JOB) for key in renter_keys]
            load = await calls_at_once(market, calls, seconds)
            tally: Tally = fleet.ask("tally")
            return load, tally


async def _post_heartbeats(directory: Path, clients: int, seconds: float) -> Load:
    async with bench_market(directory, partial(add_providers, count=clients)) as (market, keys):
        calls = [request("POST", "/providers/heartbeat", {"x-provider-key": key}, REPORT) for key in keys]
        return await calls_at_once(market, calls, seconds)
