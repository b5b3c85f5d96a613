"""Markets of any size, written in bulk."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import Connection, insert

from dc1.domain import keys
from dc1.domain.jobs import new_job_id
from dc1.domain.keys import KeyRole
from dc1.storage import keys as key_rows
from dc1.storage import lifecycle, providers, renters, totals
from dc1.storage.job_rows import JobSpec, job_shape
from dc1.storage.submission import Limits, NewJob
from dc1.storage.tables import jobs

CREDIT_HALALA = 100_000_000
_ROWS_AT_ONCE = 5_000


def add_renters(conn: Connection, now_ms: int, count: int) -> list[str]:
    """Rich renters; returns their keys."""
    made = []
    for number in range(count):
        new = renters.NewRenter(f"Renter {number}", f"renter{number}@example.sa")
        owner = renters.register(conn, new, CREDIT_HALALA, now_ms)
        made.append(keys.generate(KeyRole.RENTER))
        key_rows.add(conn, KeyRole.RENTER, owner, made[-1], now_ms)
    return [key.key for key in made]


def add_providers(conn: Connection, now_ms: int, count: int) -> list[str]:
    """Approved providers that were heard a moment ago; returns their keys."""
    made, reports = [], []
    for number in range(count):
        new = providers.NewProvider(f"Provider {number}", f"gpu{number}@example.sa", "H100", "linux")
        owner = providers.register(conn, new, now_ms)
        providers.approve(conn, owner, now_ms)
        made.append(keys.generate(KeyRole.PROVIDER))
        key_rows.add(conn, KeyRole.PROVIDER, owner, made[-1], now_ms)
        reports.append(providers.Report(owner, "post", now_ms, gpu_name="NVIDIA H100", vram_mib=81559, gpu_count=1))
    providers.flush_reports(conn, reports, now_ms)
    return [key.key for key in made]


def add_completed_jobs(conn: Connection, now_ms: int, renter_id: int, count: int) -> None:
    """Jobs that ended a while ago and cost nothing."""
    if count == 0:
        return
    new = NewJob(
        job_id=new_job_id(now_ms),
        renter_id=renter_id,
        job_type="benchmark",
        spec=JobSpec(container_spec={"image_type": "benchmark"}),
        duration_minutes=Decimal(1),
        max_duration_seconds=60,
        rate_halala_per_minute=0,
        class_multiplier=Decimal(1),
        cost_halala=0,
        fee_bps=2500,
        compute_type="inference",
    )
    first = lifecycle.submit(conn, new, Limits(), now_ms)
    done = replace(first, status="completed", due_at_ms=None, completed_at_ms=now_ms, actual_cost_halala=0)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = [
            {**job_shape.values(done), "id": first.id + number + 1, "job_id": f"job-{now_ms}-{number:06}"}
            for number in range(start, min(start + _ROWS_AT_ONCE, count))
        ]
        conn.execute(insert(jobs), rows)
    totals.add(conn, 0, jobs_completed=count)
