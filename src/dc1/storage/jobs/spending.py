"""Spending of renters is counted by UTC day as it happens, and told by what it went to."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Float, Select, cast, func, select

from dc1.domain.base.clock import day_start_ms
from dc1.domain.inference.usage import TokenUsage
from dc1.domain.jobs.states import JobStatus
from dc1.storage.engine.row_mapping import Shape
from dc1.storage.engine.statements import upsert
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.schema.tables import jobs, providers, renter_days, usage_days


@dataclass(frozen=True, slots=True)
class Spend:
    """Jobs settled with a charge, and what they cost in halala."""

    jobs: int = 0
    halala: int = 0

    def __add__(self, other: "Spend") -> "Spend":
        """Return both together."""
        return Spend(self.jobs + other.jobs, self.halala + other.halala)


@dataclass(frozen=True, slots=True)
class GpuSpend:
    """Jobs that ran on a GPU model, and what they cost in halala."""

    gpu_model: str
    jobs: int
    halala: int


@dataclass(frozen=True, slots=True)
class Use:
    """What became of the jobs that a renter submitted in a period; `mean_seconds` is of the completed ones."""

    by_status: dict[JobStatus, int]
    mean_seconds: float
    gpus: list[GpuSpend]


def count_charge(conn: Connection, renter_id: int, charged_halala: int, now_ms: int) -> None:
    """Add a charged job to the renter's day."""
    statement = upsert(conn, renter_days, ("renter_id", "day_ms"), add=("charged_jobs", "charged_halala"))
    values = {"renter_id": renter_id, "day_ms": day_start_ms(now_ms)}
    statement.send(conn, values | {"charged_jobs": 1, "charged_halala": charged_halala})


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """What one key used of one model on one UTC day; `key_id` is empty for the master key."""

    day_ms: int
    key_id: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    halala: int


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which of a renter's days, keys and models are asked for; None stands for all."""

    renter_id: int
    since_ms: int
    key_id: str | None = None
    model: str | None = None


_usage_shape = Shape(DailyUsage, usage_days)
_USAGE_KEY = ("renter_id", "day_ms", "key_id", "model")


def count_call(conn: Connection, job: JobRow, tokens: TokenUsage, charged_halala: int, now_ms: int) -> None:
    """Add an answered call to what its key used of its model today."""
    counted = {
        "calls": 1,
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "cached_tokens": tokens.cached,
        "halala": charged_halala,
    }
    of_what = {
        "renter_id": job.renter_id,
        "day_ms": day_start_ms(now_ms),
        "key_id": job.scoped_key_id or "",
        "model": (job.model or "").lower(),
    }
    upsert(conn, usage_days, _USAGE_KEY, add=tuple(counted)).send(conn, of_what | counted)


def daily_usage(conn: Connection, wanted: UsageFilter, *, limit: int, offset: int = 0) -> list[DailyUsage]:
    """Return what a renter's keys used of models by day, the newest day first."""
    query = select(*_usage_shape.columns).where(
        usage_days.c.renter_id == wanted.renter_id, usage_days.c.day_ms >= wanted.since_ms
    )
    if wanted.key_id is not None:
        query = query.where(usage_days.c.key_id == wanted.key_id)
    if wanted.model is not None:
        query = query.where(usage_days.c.model == wanted.model.lower())
    order = (usage_days.c.day_ms.desc(), usage_days.c.key_id, usage_days.c.model)
    return _usage_shape.all(conn.execute(query.order_by(*order).limit(limit).offset(offset)))


def all_time(conn: Connection, renter_id: int) -> Spend:
    """Return everything the renter ever spent."""
    # From the days, of which a renter has few; jobs may be many.
    sums = [
        cast(func.coalesce(func.sum(column), 0), BigInteger)
        for column in (renter_days.c.charged_jobs, renter_days.c.charged_halala)
    ]
    found = conn.execute(select(*sums).where(renter_days.c.renter_id == renter_id)).one()
    return Spend(found[0], found[1])


def by_day(conn: Connection, renter_id: int, since_ms: int) -> dict[int, Spend]:
    """Return the renter's days from `since_ms` on that have a charge, by their first millisecond."""
    query = select(renter_days.c.day_ms, renter_days.c.charged_jobs, renter_days.c.charged_halala).where(
        renter_days.c.renter_id == renter_id, renter_days.c.day_ms >= since_ms
    )
    return {day_ms: Spend(count, halala) for day_ms, count, halala in conn.execute(query)}


def use(conn: Connection, renter_id: int, since_ms: int, most_gpus: int) -> Use:
    """Return what became of the jobs submitted from `since_ms` on."""
    submitted = (jobs.c.renter_id == renter_id, jobs.c.submitted_at_ms >= since_ms)
    by_status = select(jobs.c.status, func.count()).where(*submitted).group_by(jobs.c.status).order_by(jobs.c.status)
    mean = select(func.avg(cast(jobs.c.used_seconds, Float))).where(*submitted, jobs.c.status == JobStatus.COMPLETED)
    return Use(
        by_status={row[0]: row[1] for row in conn.execute(by_status)},
        mean_seconds=conn.execute(mean).scalar() or 0.0,
        gpus=[GpuSpend(*row) for row in conn.execute(_gpus(renter_id, since_ms).limit(most_gpus))],
    )


def _gpus(renter_id: int, since_ms: int) -> Select[*tuple[Any, ...]]:
    # What the daemon reported goes before what the owner declared.
    model = func.coalesce(providers.c.gpu_name, providers.c.gpu_model)
    count = func.count()
    return (
        select(model, count, cast(func.coalesce(func.sum(jobs.c.actual_cost_halala), 0), BigInteger))
        .select_from(jobs)
        .join(providers, providers.c.id == jobs.c.provider_id)
        .where(jobs.c.renter_id == renter_id, jobs.c.submitted_at_ms >= since_ms, jobs.c.started_at_ms.is_not(None))
        .group_by(model)
        .order_by(count.desc(), model)
    )
