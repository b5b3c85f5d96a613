"""Jobs are read here: one, the queue, the due ones, lists; their documents, results and attempts.

Jobs are changed in `dc1.storage.jobs.lifecycle` only.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    bindparam,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
    update,
)

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import job_not_found
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import OPEN, JobStatus
from dc1.storage.engine.row_mapping import Page, Shape, escaped_like
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.jobs.job_records import JobRow, JobSpec, job_shape, spec_shape
from dc1.storage.providers.providers import of_account
from dc1.storage.schema.tables import job_attempts, job_results, job_specs, jobs, renters

# As text: PostgreSQL uses a partial index only where the query spells the index's condition, and a parameter could be
# anything.
LEASED = text("jobs.status IN ('pending', 'running')")
QUEUED = text("jobs.status = 'queued'")

_SELECT = select(*job_shape.columns)
_BY_ID = PreparedStatement(_SELECT.where(jobs.c.id == bindparam("wanted")))
_BY_JOB_ID = PreparedStatement(_SELECT.where(jobs.c.job_id == bindparam("wanted")))
_SPEC = PreparedStatement(select(*spec_shape.columns).where(job_specs.c.job_id == bindparam("wanted")))


def get(conn: Connection, job_id: int) -> JobRow | None:
    """Return the job with this row id, or None."""
    return job_shape.first(_BY_ID.rows(conn, {"wanted": job_id}))


def known(conn: Connection, job_id: int) -> JobRow:
    """Return the job with this row id.

    Raises:
        job_not_found: there is none.
    """
    job = get(conn, job_id)
    if job is None:
        raise job_not_found()
    return job


def parse_reference(reference: str) -> int | str | None:
    """Return the row id or the public id by which a caller names a job, None for what can be neither."""
    if reference.isascii() and reference.isdigit():
        # One way to write each number: retries are counted by what was sent. 18 digits fit into BIGINT.
        return None if len(reference) > 18 or reference[0] == "0" else int(reference)
    # PostgreSQL refuses a NUL even in what is only compared.
    return reference.replace("\x00", "\ufffd")


def find(conn: Connection, reference: str) -> JobRow | None:
    """Return the job that a caller names, by its row id or by its public id, or None."""
    wanted = parse_reference(reference)
    if wanted is None:
        return None
    return job_shape.first((_BY_ID if isinstance(wanted, int) else _BY_JOB_ID).rows(conn, {"wanted": wanted}))


def spec(conn: Connection, job_id: int) -> JobSpec:
    """Return the documents of a job that exists."""
    found = spec_shape.first(_SPEC.rows(conn, {"wanted": job_id}))
    assert found is not None
    return found


def specs(conn: Connection, job_ids: Collection[int]) -> dict[int, JobSpec]:
    """Return the documents of several jobs by row id."""
    query = select(job_specs.c.job_id, *spec_shape.columns).where(job_specs.c.job_id.in_(job_ids))
    return {row[0]: JobSpec(*row[1:]) for row in conn.execute(query)}


def fitting_specs(conn: Connection, job_ids: Collection[int], *, max_characters: int) -> dict[int, JobSpec]:
    """Return the documents of as many of several jobs, the first first, as have so many characters together."""
    length = sum((func.coalesce(func.length(column), 0) for column in spec_shape.columns), start=literal(0))
    sizes = dict(conn.execute(select(job_specs.c.job_id, length).where(job_specs.c.job_id.in_(job_ids))).all())
    fitting, left = [], max_characters
    for job_id in job_ids:
        if sizes[job_id] <= left:
            fitting.append(job_id)
            left -= sizes[job_id]
    return specs(conn, fitting)


def container_specs(conn: Connection, job_ids: Collection[int]) -> dict[int, Any]:
    """Return the container specs of several jobs by row id."""
    query = select(job_specs.c.job_id, job_specs.c.container_spec).where(job_specs.c.job_id.in_(job_ids))
    return {row.job_id: row.container_spec for row in conn.execute(query)}


def load_queue(conn: Connection) -> list[JobRow]:
    """Return every queued job in dispatch order."""
    order = (jobs.c.class_rank, jobs.c.priority, jobs.c.submitted_at_ms, jobs.c.id)
    return job_shape.all(conn.execute(_SELECT.where(QUEUED).order_by(*order)))


def load_active(conn: Connection) -> list[JobRow]:
    """Return every pending or running job, by provider and id."""
    return job_shape.all(conn.execute(_SELECT.where(LEASED).order_by(jobs.c.provider_id, jobs.c.id)))


def leased_by(conn: Connection, provider_id: int) -> list[JobRow]:
    """Return the provider's pending and running jobs, by id."""
    # Sorted here, for SQLite would go through every job of the provider in that order.
    rows = job_shape.all(conn.execute(_SELECT.where(jobs.c.provider_id == provider_id, LEASED)))
    return sorted(rows, key=lambda row: row.id)


def due_jobs(conn: Connection, now_ms: int, limit: int) -> list[JobRow]:
    """Return the open jobs whose queue or run deadline has come, the most overdue first."""
    query = _SELECT.where(jobs.c.due_at_ms <= now_ms).order_by(jobs.c.due_at_ms).limit(limit)
    return job_shape.all(conn.execute(query))


def queue_position(conn: Connection, job: JobRow) -> int | None:
    """Return the job's place, from 1, among those that wait for the same provider (or for any); None unless queued."""
    if job.status != JobStatus.QUEUED:
        return None
    # The order of the scheduler, in the columns of the queue's index.
    place = tuple_(jobs.c.class_rank, jobs.c.priority, jobs.c.submitted_at_ms, jobs.c.id)
    ahead = select(func.count()).where(
        QUEUED,
        place < tuple_(job.class_rank, job.priority, job.submitted_at_ms, job.id),
        jobs.c.named_provider_id.is_not_distinct_from(job.named_provider_id),
    )
    return int(conn.execute(ahead).scalar_one()) + 1


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list of jobs is narrowed to; None and empty mean no condition.

    `provider_id` is who has the job, or had it last, `account_id` whose machine that is; `shown_provider_id` also whom
    a job without a provider names. `answered` are completed ones, and those charged for what was said before they were
    cut off.
    """

    renter_id: int | None = None
    provider_id: int | None = None
    account_id: int | None = None
    shown_provider_id: int | None = None
    statuses: Collection[str] = ()
    job_type: str | None = None
    source: str | None = None
    answered: bool = False
    submitted_from_ms: int | None = None
    submitted_before_ms: int | None = None
    search: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter in SQL; `search` looks in public ids, models, and the renters' names and addresses."""
        equal = {
            jobs.c.renter_id: self.renter_id,
            jobs.c.provider_id: self.provider_id,
            jobs.c.job_type: self.job_type,
            jobs.c.source: self.source,
        }
        found: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
        if self.account_id is not None:
            found.append(jobs.c.provider_id.in_(of_account(self.account_id)))
        if self.shown_provider_id is not None:
            # Said so that an index serves either half.
            names = jobs.c.provider_id.is_(None) & (jobs.c.named_provider_id == self.shown_provider_id)
            found.append((jobs.c.provider_id == self.shown_provider_id) | names)
        if self.statuses:
            found.append(jobs.c.status.in_(sorted(self.statuses)))
        if self.answered:
            found.append((jobs.c.status == JobStatus.COMPLETED) | (jobs.c.actual_cost_halala > 0))
        if self.submitted_from_ms is not None:
            found.append(jobs.c.submitted_at_ms >= self.submitted_from_ms)
        if self.submitted_before_ms is not None:
            found.append(jobs.c.submitted_at_ms < self.submitted_before_ms)
        if self.search:
            found.append(_mentions(escaped_like(self.search.lower())))
        return found

    def newest(self, most: int) -> list[ColumnElement[bool]]:
        """Return the filter in SQL for whoever wants so many of the newest that match, in their order."""
        is_of_machine = any(who is not None for who in (self.provider_id, self.account_id, self.shown_provider_id))
        if len(self.statuses) < 2 or is_of_machine:
            return self.conditions()
        # Of each status by its index: for several of them at once SQLite goes through all jobs in that order, of which
        # those that are open may be none.
        each = (replace(self, statuses=(status,)).conditions() for status in sorted(self.statuses))
        ids = (select(jobs.c.id).where(*one).order_by(jobs.c.id.desc()).limit(most).subquery() for one in each)
        return [jobs.c.id.in_(union_all(*(select(one.c.id) for one in ids)))]


def _mentions(pattern: str) -> ColumnElement[bool]:
    def has(column: Column[Any]) -> ColumnElement[bool]:
        return func.lower(column).like(pattern, escape="\\")

    their_renters = select(renters.c.id).where(has(renters.c.name) | has(renters.c.email))
    return has(jobs.c.job_id) | has(jobs.c.model) | jobs.c.renter_id.in_(their_renters)


def page(conn: Connection, wanted: JobFilter, *, limit: int, offset: int = 0) -> Page[JobRow]:
    """Return jobs that match, newest first."""
    conditions = wanted.conditions()
    total = conn.execute(select(func.count()).select_from(jobs).where(*conditions)).scalar_one()
    return Page(latest(conn, wanted, limit=limit, offset=offset), total)


def latest(conn: Connection, wanted: JobFilter, *, limit: int, offset: int = 0) -> list[JobRow]:
    """Do as `page`, for callers that need no total."""
    query = _SELECT.where(*wanted.newest(limit + offset)).order_by(jobs.c.id.desc()).limit(limit).offset(offset)
    return job_shape.all(conn.execute(query))


def open_jobs(
    conn: Connection, *, renter_id: int | None = None, account_id: int | None = None, limit: int = 10_000
) -> list[JobRow]:
    """Return jobs of one renter, or on an account's machines, that are not terminal, newest first.

    The bound is no page: those who ask want all of them, and no list may fill the memory. A machine's are `leased_by`.
    """
    wanted = JobFilter(renter_id=renter_id, account_id=account_id, statuses=OPEN)
    # By no column, or SQLite would go through every job of theirs in that order to find the few that are open.
    query = _SELECT.where(*wanted.conditions()).order_by((jobs.c.id + 0).desc()).limit(limit)
    return job_shape.all(conn.execute(query))


def result(conn: Connection, job_id: int) -> Any:
    """Return the stored result (an object or a string), or None when the job left none."""
    return conn.execute(select(job_results.c.result).where(job_results.c.job_id == job_id)).scalar_one_or_none()


def result_characters(conn: Connection, job_id: int) -> int:
    """Return how many characters the stored result has as JSON, 0 where there is none; it is not read for that."""
    query = select(func.length(job_results.c.result)).where(job_results.c.job_id == job_id)
    return conn.execute(query).scalar_one_or_none() or 0


def results(conn: Connection, job_ids: Collection[int], *, max_characters: int) -> dict[int, Any]:
    """Return the stored results of several jobs by row id; those whose JSON is longer are left out."""
    query = select(job_results.c.job_id, job_results.c.result).where(
        # Left out by the database: what is too long to be shown need not be read either.
        job_results.c.job_id.in_(job_ids),
        func.length(job_results.c.result) <= max_characters,
    )
    return {row.job_id: row.result for row in conn.execute(query)}


def events(conn: Connection, job_id: int) -> list[str]:
    """Return what the engine said of a call, where that was stored beside its result."""
    return conn.execute(select(job_results.c.events).where(job_results.c.job_id == job_id)).scalar_one_or_none() or []


def store_result(conn: Connection, job_id: int, value: Any, now_ms: int, said: list[str] | None = None) -> None:
    """Keep what a job produced, and of a call what the engine said where the result alone is not enough.

    A job that ran before its result was lost keeps the last one.
    """
    # The attempt before may have stored its result and then lost the job.
    statement = upsert(conn, job_results, ("job_id",), replace=("result", "stored_at_ms", "events"))
    statement.send(conn, {"job_id": job_id, "result": value, "stored_at_ms": now_ms, "events": said})


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One run of a job on one provider, at `price_bps` for all it takes of it; `outcome` is None while it runs."""

    job_id: int
    attempt_number: int
    provider_id: int
    started_at_ms: int
    ended_at_ms: int | None
    outcome: str | None
    exit_code: int | None
    gpu_seconds_used: float | None
    price_bps: int | None
    error_detail: str | None
    fault: Fault | None


_attempt_shape = Shape(AttemptRow, job_attempts)


def attempts(conn: Connection, job_id: int) -> Sequence[AttemptRow]:
    """Return every attempt of a job, the first one first."""
    query = select(*_attempt_shape.columns).where(job_attempts.c.job_id == job_id)
    return _attempt_shape.all(conn.execute(query.order_by(job_attempts.c.attempt_number)))


def has_held(conn: Connection, job_id: int, provider_id: int) -> bool:
    """Tell whether the provider ever ran the job."""
    query = select(job_attempts.c.attempt_number).where(
        job_attempts.c.job_id == job_id, job_attempts.c.provider_id == provider_id
    )
    return conn.execute(query.limit(1)).scalar() is not None


@dataclass(frozen=True, slots=True)
class StoredConditions:
    """What the cards went through under an attempt."""

    row_id: int
    attempt: int
    conditions: JsonObject


_SET_CONDITIONS = PreparedStatement(
    update(jobs)
    .where(jobs.c.id == bindparam("row_id"), jobs.c.attempt_number == bindparam("attempt"))
    .values(gpu_conditions=bindparam("conditions", type_=jobs.c.gpu_conditions.type))
)


def store_conditions(conn: Connection, conditions: Collection[StoredConditions]) -> None:
    """Keep what cards went through, as long as the job has no later attempt: no move of it, and no event."""
    # By id, so that two servers that flush at once cannot deadlock.
    ordered = sorted(conditions, key=lambda item: item.row_id)
    rows = [{"row_id": item.row_id, "attempt": item.attempt, "conditions": item.conditions} for item in ordered]
    _SET_CONDITIONS.run_many(conn, rows)
