"""Jobs of everybody, as admins list them: with names, and with sums over all that match."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, func, select

from dc1.domain.jobs.states import OPEN, JobStatus
from dc1.storage.jobs.job_records import JobRow, job_shape
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.money import counters
from dc1.storage.schema.tables import jobs, providers, renters


@dataclass(frozen=True, slots=True)
class NamedJob:
    """A job with the names of its renter and of its provider, if it has one."""

    job: JobRow
    renter_name: str
    provider_name: str | None


@dataclass(frozen=True, slots=True)
class JobStats:
    """Sums over jobs; the revenue is what the completed ones cost, in halala."""

    total: int
    completed: int
    failed: int
    active: int
    revenue_halala: int


_NAMED: Select[Any] = (
    select(renters.c.name, providers.c.name, *job_shape.columns)
    .select_from(jobs)
    .join(renters, renters.c.id == jobs.c.renter_id)
    # A job that waits for the provider it names is listed with it.
    .outerjoin(providers, providers.c.id == func.coalesce(jobs.c.provider_id, jobs.c.named_provider_id))
)
_completed = jobs.c.status == JobStatus.COMPLETED
_SUMS = select(
    func.count(),
    func.count().filter(_completed),
    func.count().filter(jobs.c.status == JobStatus.FAILED),
    func.count().filter(jobs.c.status.in_(sorted(OPEN))),
    # PostgreSQL sums BIGINT to NUMERIC, which the driver hands over as Decimal.
    cast(func.coalesce(func.sum(jobs.c.actual_cost_halala).filter(_completed), 0), BigInteger),
).select_from(jobs)


def latest(conn: Connection, wanted: JobFilter, *, limit: int, offset: int = 0) -> list[NamedJob]:
    """Return jobs that match, newest first."""
    query = _NAMED.where(*wanted.newest(limit + offset)).order_by(jobs.c.id.desc()).limit(limit).offset(offset)
    return [NamedJob(JobRow(*row[2:]), row[0], row[1]) for row in conn.execute(query)]


def stats(conn: Connection, wanted: JobFilter) -> JobStats:
    """Return sums over every job that matches; the running counters know those over all jobs."""
    # Without a filter the sums would be over all jobs there ever were.
    if wanted == JobFilter():
        kept = counters.read(conn)
        return JobStats(
            kept.jobs, kept.jobs_completed, kept.jobs_failed, kept.jobs_active, kept.completed_revenue_halala
        )
    return JobStats(*conn.execute(_SUMS.where(*wanted.conditions())).one())
