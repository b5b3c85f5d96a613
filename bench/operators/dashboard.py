"""Whether the dashboard slows down as the market grows."""

import json
import time

from sqlalchemy import Connection

from bench.market import ADMIN_TOKEN, bench_market
from bench.places import Place
from bench.report import Figure, latency
from bench.rest import RestConnection, request
from bench.seeding import add_completed_jobs, add_renters, copy_providers


async def measure_dashboard(place: Place, providers: list[int], jobs: list[int], samples: int) -> list[Figure]:
    """Read the dashboard in markets of every combination of these sizes."""
    return [
        latency(
            f"dashboard with {provider_count:,} providers, {job_count:,} jobs",
            await _dashboard(place, provider_count, job_count, samples),
        )
        for provider_count in providers
        for job_count in jobs
    ]


async def _dashboard(place: Place, providers: int, jobs: int, samples: int) -> list[float]:
    def seed(conn: Connection, now_ms: int) -> None:
        add_renters(conn, now_ms, 1)
        copy_providers(conn, now_ms, providers)
        add_completed_jobs(conn, now_ms, 1, jobs)

    seconds, body = [], b""
    async with bench_market(place, seed) as (market, _):
        client = await RestConnection.open(market.port)
        call = request("GET", "/admin/dashboard", {"x-admin-token": ADMIN_TOKEN})
        for _ in range(samples):
            sent = time.perf_counter()
            status, body = await client.send(call)
            seconds.append(time.perf_counter() - sent)
            assert status == 200, body
        stats = json.loads(body)["stats"]
        assert (stats["total_providers"], stats["online_now"]) == (providers, providers), stats
        assert stats["completed_jobs"] == jobs, stats
        await client.close()
    return seconds
