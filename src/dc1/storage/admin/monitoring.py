"""Counts that show whether the market works; every one reads an index or few rows."""

from dataclasses import dataclass

from sqlalchemy import Connection, distinct, func, select, text

from dc1.domain.base.clock import DAY_MS, day_start_ms
from dc1.domain.jobs.faults import Fault
from dc1.storage.schema.tables import jobs, provider_days, renters

HOUR_MS = 3_600_000
_WAITING = text("jobs.status IN ('queued', 'pending')")
# As text, which is how its partial index spells it.
_FAILED = text("jobs.status = 'failed'")


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
