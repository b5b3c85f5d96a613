"""Counts that show whether the market works; every one reads an index or few rows."""

from dataclasses import dataclass

from sqlalchemy import Connection, distinct, func, or_, select, text

from dc1.domain.base.clock import DAY_MS, day_start_ms
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import JobStatus, JobType
from dc1.storage.schema.tables import job_specs, jobs, provider_days, renters

HOUR_MS = 3_600_000
_WAITING = text("jobs.status IN ('queued', 'pending')")
# As text, which is how their partial indexes spell it.
_FAILED = text("jobs.status = 'failed'")
_KEPT = text("jobs.completed_at_ms IS NOT NULL AND jobs.documents_erased_at_ms IS NULL")


@dataclass(frozen=True, slots=True)
class Failures:
    """Jobs that one provider failed lately: how many, and when the first of them did."""

    count: int
    first_ms: int


def failed_since(conn: Connection, since_ms: int) -> int:
    """Return how many jobs have failed since then."""
    return conn.execute(select(func.count()).where(_FAILED, jobs.c.completed_at_ms >= since_ms)).scalar_one()


def failures_by_provider(conn: Connection, since_ms: int) -> dict[int, Failures]:
    """Return the jobs that have failed since then by a provider's fault, by its id."""
    query = (
        select(jobs.c.provider_id, func.count(), func.min(jobs.c.completed_at_ms))
        # What failed by itself is no news of whoever ran it.
        .where(
            _FAILED,
            jobs.c.completed_at_ms >= since_ms,
            jobs.c.provider_id.is_not(None),
            jobs.c.fault == Fault.PROVIDER,
        )
        .group_by(jobs.c.provider_id)
    )
    return {provider_id: Failures(count, first_ms) for provider_id, count, first_ms in conn.execute(query)}


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that completed, or failed by whose fault ever; `what` it ran is its model, image or kind of work.

    `took_ms` is None of one that failed.
    """

    job_id: int
    ended_ms: int
    what: str
    provider_id: int
    renter_id: int
    is_renters_fault: bool
    took_ms: int | None


def ended_runs(conn: Connection, after: tuple[int, int], until_ms: int, limit: int) -> list[EndedRun]:
    """Return the next runs that ended, by time and id, after those and until then."""
    since_ms, last_id = after
    query = (
        select(
            jobs.c.id,
            jobs.c.completed_at_ms,
            jobs.c.started_at_ms,
            jobs.c.status,
            jobs.c.model,
            jobs.c.job_type,
            jobs.c.provider_id,
            jobs.c.renter_id,
            jobs.c.fault,
            job_specs.c.container_spec,
        )
        .outerjoin_from(jobs, job_specs, job_specs.c.job_id == jobs.c.id)
        .where(
            _KEPT,
            jobs.c.completed_at_ms >= since_ms,
            jobs.c.completed_at_ms <= until_ms,
            or_(jobs.c.completed_at_ms > since_ms, jobs.c.id > last_id),
            jobs.c.provider_id.is_not(None),
            jobs.c.status.in_((JobStatus.COMPLETED, JobStatus.FAILED)),
        )
        .order_by(jobs.c.completed_at_ms, jobs.c.id)
        .limit(limit)
    )
    return [
        EndedRun(
            job_id=row.id,
            ended_ms=row.completed_at_ms,
            what=_what(row.model, row.container_spec, row.job_type),
            provider_id=row.provider_id,
            renter_id=row.renter_id,
            is_renters_fault=row.fault == Fault.RENTER,
            took_ms=row.completed_at_ms - row.started_at_ms if _is_done(row.status, row.started_at_ms) else None,
        )
        for row in conn.execute(query)
    ]


def _is_done(status: str, started_at_ms: int | None) -> bool:
    # How soon a program fails is its own.
    return status == JobStatus.COMPLETED and started_at_ms is not None


def _what(model: str | None, spec: JsonObject | None, job_type: JobType) -> str:
    if model:
        return f"model {model.lower()}"
    image = (spec or {}).get("image") or (spec or {}).get("image_type")
    return f"image {image}" if image else f"type {job_type}"


def mean_wait_seconds(conn: Connection, now_ms: int) -> float:
    """Return how long the jobs that wait have waited on the average; 0 when none does."""
    # The mean of the waits is now less the mean of their beginnings.
    mean_ms = conn.execute(select(func.avg(jobs.c.submitted_at_ms)).where(_WAITING)).scalar()
    return 0.0 if mean_ms is None else max(0.0, (now_ms - float(mean_ms)) / 1000)


def renters_active_since(conn: Connection, since_ms: int) -> int:
    """Return how many renters have submitted a job since then."""
    # Every submission notes its day, so only renters of these days are looked at.
    lately = select(renters.c.id).where(renters.c.quota_day_ms >= day_start_ms(since_ms), renters.c.id > 0)
    query = select(func.count(distinct(jobs.c.renter_id))).where(
        jobs.c.renter_id.in_(lately), jobs.c.submitted_at_ms >= since_ms
    )
    return conn.execute(query).scalar_one()


def heartbeats_of_24_hours(conn: Connection, provider_id: int, now_ms: int) -> float:
    """Return a provider's heartbeats of the last 24 hours; yesterday's are taken as evenly spread over that day."""
    today_ms = day_start_ms(now_ms)
    query = select(provider_days.c.day_ms, provider_days.c.heartbeats).where(
        provider_days.c.provider_id == provider_id, provider_days.c.day_ms >= today_ms - DAY_MS
    )
    by_day: dict[int, int] = dict(tuple(row) for row in conn.execute(query))
    yesterdays_share = 1 - (now_ms - today_ms) / DAY_MS
    return float(by_day.get(today_ms, 0) + by_day.get(today_ms - DAY_MS, 0) * yesterdays_share)


def size_bytes(conn: Connection) -> int:
    """Return how large the database is."""
    if conn.dialect.name == "sqlite":
        # What the file holds; its write-ahead log comes and goes.
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages * conn.exec_driver_sql("PRAGMA page_size").scalar_one())
    return int(conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
