"""Markets of any size, written in bulk."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import Connection, Table, Text, cast, insert, literal, select

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.jobs.states import ComputeType, JobStatus, JobType, new_job_id
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import renters
from dc1.storage.jobs import lifecycle
from dc1.storage.jobs.job_records import JobRow, JobSpec, job_shape
from dc1.storage.jobs.submission import NewJob, SubmissionLimits
from dc1.storage.money import counters, ledger
from dc1.storage.providers import providers
from dc1.storage.schema.tables import job_specs, jobs
from dc1.storage.schema.tables import providers as provider_table

CREDIT_HALALA = 100_000_000


def add_renters(conn: Connection, now_ms: int, count: int) -> list[str]:
    """Rich renters; returns their keys."""
    made = []
    for number in range(count):
        new = renters.NewRenter(f"Renter {number}", f"renter{number}@example.sa")
        owner = renters.register(conn, new, CREDIT_HALALA, now_ms)
        made.append(keys.new_key(KeyRole.RENTER))
        key_rows.add(conn, KeyRole.RENTER, owner, made[-1], now_ms)
    return [key.key for key in made]


def add_providers(conn: Connection, now_ms: int, count: int, *, heard: bool = True) -> list[str]:
    """Approved providers that were heard a moment ago, or of which nothing is known yet; returns their keys."""
    made = [keys.new_key(KeyRole.PROVIDER) for _ in range(count)]
    for owner, key in enumerate(made, _make_providers(conn, now_ms, count, heard=heard)):
        key_rows.add(conn, KeyRole.PROVIDER, owner, key, now_ms)
    return [key.key for key in made]


def copy_providers(conn: Connection, now_ms: int, count: int) -> None:
    """As add_providers(), without keys."""
    _make_providers(conn, now_ms, count, heard=True)


def _make_providers(conn: Connection, now_ms: int, count: int, *, heard: bool) -> int:
    """One as the market makes it, and its copies: 10,000 of them, one by one, are more than PostgreSQL is waited for.

    Returns the id of the first; those of the others follow it.
    """
    new = providers.NewProvider("Provider", "gpu@example.sa", "H100", "linux")
    first = providers.register(conn, new, now_ms)
    providers.set_approved(conn, first, now_ms)
    if heard:
        report = providers.StoredReport(first, "post", now_ms, gpu_name="NVIDIA H100", vram_mib=81559, gpu_count=1)
        providers.flush_reports(conn, [report], now_ms)
    _copy(conn, provider_table, "id", first, count, unique="email")
    copies = range(first + 1, first + count)
    if copies:
        ledger.open_accounts(conn, *(own for copy in copies for own in providers.own_accounts(copy)))
    return first


def add_completed_jobs(conn: Connection, now_ms: int, renter_id: int, count: int) -> None:
    """Jobs that ended a while ago and cost nothing, beside one that waits."""
    waiting = _free_job(conn, now_ms, renter_id)
    if count == 0:
        return
    done = replace(waiting, status=JobStatus.COMPLETED, due_at_ms=None, completed_at_ms=now_ms, actual_cost_halala=0)
    first = {"id": waiting.id + 1, "job_id": f"{waiting.job_id}-0", "provider_earned_halala": 0, "dc1_fee_halala": 0}
    conn.execute(insert(jobs), {**job_shape.values(done), **first, "refunded_halala": 0})
    _copy(conn, jobs, "id", waiting.id + 1, count, unique="job_id")
    counters.change(conn, 0, jobs_completed=count)


def add_waiting_jobs(conn: Connection, now_ms: int, renter_id: int, count: int) -> None:
    """Free jobs in the queue that any provider may run."""
    first_id = _free_job(conn, now_ms, renter_id).id
    _copy(conn, jobs, "id", first_id, count, unique="job_id")
    _copy(conn, job_specs, "job_id", first_id, count)
    counters.change(conn, 0, jobs_queued=count - 1)


def _free_job(conn: Connection, now_ms: int, renter_id: int) -> JobRow:
    new = NewJob(
        job_id=new_job_id(now_ms),
        renter_id=renter_id,
        job_type=JobType.BENCHMARK,
        spec=JobSpec(container_spec={"image_type": "benchmark"}),
        duration_minutes=Decimal(1),
        max_duration_seconds=60,
        rate_halala_per_minute=0,
        class_multiplier=Decimal(1),
        cost_halala=0,
        fee_bps=2500,
        compute_type=ComputeType.INFERENCE,
    )
    return lifecycle.submit(conn, new, SubmissionLimits(), now_ms)


def _copy(conn: Connection, table: Table, key: str, first: int, count: int, unique: str | None = None) -> None:
    """Make one row `count` rows, by doubling; `key` counts up from `first`, and `unique` differs in each."""
    names = [column.name for column in table.columns if column.name != "changed_xid"]
    made = 1
    while made < count:
        step = min(made, count - made)
        number = table.c[key] + literal(made)
        changed = (
            {key: number, unique: cast(number, Text) + literal("-") + table.c[unique]} if unique else {key: number}
        )
        source = select(*[changed.get(name, table.c[name]) for name in names])
        last = first + step
        conn.execute(insert(table).from_select(names, source.where(table.c[key] >= first, table.c[key] < last)))
        made += step
