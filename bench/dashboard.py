"""Whether the dashboard slows down as the market grows."""

import json
import time
from pathlib import Path

from sqlalchemy import Connection

from bench.market import ADMIN_TOKEN, bench_market
from bench.report import Finding, milliseconds, percentile
from bench.rest import RestConnection, request
from bench.seeding import add_completed_jobs, add_providers, add_renters


async def measure_dashboard(directory: Path, providers: list[int], jobs: list[int], samples: int) -> Finding:
    """Read the dashboard in markets of every combination of these sizes."""
    rows, numbers = [], {}
    for provider_count in providers:
        for job_count in jobs:
            seconds = await _dashboard(directory, provider_count, job_count, samples)
            rows.append(
                (
                    f"{provider_count:,}",
                    f"{job_count:,}",
                    milliseconds(percentile(seconds, 50)),
                    milliseconds(percentile(seconds, 99)),
                )
            )
            numbers[f"{provider_count} providers, {job_count} jobs"] = seconds
    return Finding(
        "GET /admin/dashboard through Envoy",
        ("providers", "jobs", "p50", "p99"),
        rows,
        "Totals are kept as counters and providers in memory, so nothing is counted. Each call stores its audit entry, "
        "which waits for the disk.",
        numbers,
    )


async def _dashboard(directory: Path, providers: int, jobs: int, samples: int) -> list[float]:
    def seed(conn: Connection, now_ms: int) -> None:
        add_renters(conn, now_ms, 1)
        add_providers(conn, now_ms, providers)
        add_completed_jobs(conn, now_ms, 1, jobs)

    seconds, body = [], b""
    async with bench_market(directory, seed) as (market, _):
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
