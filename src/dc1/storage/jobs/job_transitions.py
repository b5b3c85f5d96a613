"""The one place that changes a job's row: lock it, write it under a guard, append the event, move the counters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NewType

from sqlalchemy import Connection, bindparam, select, update

from dc1.domain.base.json_types import JsonValue
from dc1.domain.jobs.states import Actor, ErrorCategory, JobEvent, JobStatus, can_move
from dc1.domain.money.pricing import Settlement
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.job_records import JobRow, job_shape
from dc1.storage.money import counters
from dc1.storage.providers.standings import NO_CHANGE, Standing
from dc1.storage.schema.tables import jobs as jobs_table

LockedJob = NewType("LockedJob", JobRow)
"""A job whose row stays ours until the transaction ends, so what was decided by it may be written at once."""

_SELECT = select(*job_shape.columns)
_BY_ID = _SELECT.where(jobs_table.c.id == bindparam("wanted"))
_BY_JOB_ID = _SELECT.where(jobs_table.c.job_id == bindparam("wanted"))
# FOR NO KEY UPDATE: whoever only inserts rows that refer to the job, such as log lines, does not wait for its move.
_LOCK = PreparedStatement(_BY_ID.with_for_update(key_share=True))
_LOCK_BY_JOB_ID = PreparedStatement(_BY_JOB_ID.with_for_update(key_share=True))
_LOCK_KNOWN = PreparedStatement(
    select(jobs_table.c.id)
    .where(
        jobs_table.c.id == bindparam("wanted"),
        jobs_table.c.status == bindparam("status"),
        jobs_table.c.event_sequence == bindparam("sequence"),
    )
    .with_for_update(key_share=True)
)
_LOCK_IF_FREE = PreparedStatement(_BY_ID.with_for_update(key_share=True, skip_locked=True))


@dataclass(frozen=True, slots=True)
class Begun:
    """A start that is written with what follows it: the job as it is `stored`, and as it is once it has begun.

    `changes` are those of its row, `event` tells of it and has its time.
    """

    stored: LockedJob
    job: LockedJob
    changes: Mapping[str, Any]
    event: job_events.EventRow


@dataclass(frozen=True, slots=True)
class Transition:
    """A job after a move, where its hold went if the move was its last, and what it says of whoever ran it.

    `result` is what a run left that completed, and `cause` why one was lost that is tried again.
    """

    job: JobRow
    settlement: Settlement | None = None
    standing: Standing = NO_CHANGE
    result: JsonValue = None
    cause: ErrorCategory | None = None


def locked(conn: Connection, job_id: int) -> LockedJob | None:
    """Lock the job and return it, None when there is none; nobody else can move it until the transaction ends."""
    return _ours(_LOCK.rows(conn, {"wanted": job_id}))


def locked_as_known(conn: Connection, job: JobRow) -> LockedJob | None:
    """Lock a job that is stored as it is known, and return it; None when it was moved since, or is no more."""
    # Each move counts its events up: the row need not be read, of which a settlement makes eighty values.
    wanted = {"wanted": job.id, "status": job.status, "sequence": job.event_sequence}
    return LockedJob(job) if _LOCK_KNOWN.rows(conn, wanted) else None


def locked_by_reference(conn: Connection, reference: str) -> LockedJob | None:
    """Lock the job that a caller names, as `jobs.find` finds it, and return it; None when there is none."""
    wanted = jobs.parse_reference(reference)
    if isinstance(wanted, int):
        return locked(conn, wanted)
    return None if wanted is None else _ours(_LOCK_BY_JOB_ID.rows(conn, {"wanted": wanted}))


def locked_if_free(conn: Connection, job_id: int) -> LockedJob | None:
    """Do as `locked`, but return None too while somebody else moves the job."""
    return _ours(_LOCK_IF_FREE.rows(conn, {"wanted": job_id}))


def _ours(rows: list[tuple[Any, ...]]) -> LockedJob | None:
    found = job_shape.first(rows)
    return None if found is None else LockedJob(found)


def allowed(job: JobRow, target: JobStatus, actor: Actor) -> bool:
    """Tell whether the table of moves lets `actor` take the job to `target`."""
    return can_move(job.status, target, actor)


def write(
    conn: Connection,
    job: LockedJob,
    event: JobEvent,
    actor: Actor,
    now_ms: int,
    *,
    message: str | None = None,
    payload: dict[str, Any] | None = None,
    begun: Begun | None = None,
    **changes: Any,
) -> JobRow:
    """Change a job and append the event that tells of it, after a start that is not stored if it has `begun` so.

    Counters are left to the caller.
    """
    # Every change of a row has its event, so the sequence is the row's version too: replicas tell by it what is newer.
    changes["event_sequence"] = job.event_sequence + 1
    stored, written, told = job, changes, list[job_events.EventRow]()
    if begun is not None:
        stored, written, told = begun.stored, {**begun.changes, **changes}, [begun.event]
    guard = {"guard_id": job.id, "guard_status": stored.status, "guard_sequence": stored.event_sequence}
    # Whoever holds the lock finds the row as it read it; should a caller ever not hold it, nothing is stored.
    _update(tuple(written)).send(conn, guard | {f"new_{name}": value for name, value in written.items()}, changing=1)
    after = replace(job, **changes)
    job_events.append(conn, *told, event_of(after, event, actor, now_ms, message=message, payload=payload))
    return after


def move(
    conn: Connection,
    job: LockedJob,
    target: JobStatus,
    event: JobEvent,
    actor: Actor,
    now_ms: int,
    *,
    message: str | None = None,
    payload: dict[str, Any] | None = None,
    **changes: Any,
) -> JobRow:
    """Take a job from one open state to another and count it there."""
    after = write(conn, job, event, actor, now_ms, message=message, payload=payload, status=target, **changes)
    # The counters are called after the states.
    counters.change(conn, job.id, **{f"jobs_{job.status}": -1, f"jobs_{target}": 1})
    return after


def event_of(
    job: JobRow,
    event: JobEvent,
    actor: Actor,
    now_ms: int,
    *,
    message: str | None = None,
    payload: dict[str, Any] | None = None,
) -> job_events.EventRow:
    """Return the event that tells of the job's present state."""
    standing = {
        "provider_id": job.provider_id,
        "attempt_number": job.attempt_number,
        "progress_phase": job.progress_phase,
    }
    return job_events.EventRow(
        job_id=job.id,
        sequence_no=job.event_sequence,
        event_type=event,
        status=job.status,
        source=actor,
        error_category=job.error_category,
        error_code=None,
        message=message,
        payload=standing | (payload or {}),
        occurred_at_ms=now_ms,
    )


# A statement for each set of columns that some move writes, which are about a dozen.
@cache
def _update(names: tuple[str, ...]) -> PreparedStatement:
    return PreparedStatement(
        update(jobs_table)
        .where(
            jobs_table.c.id == bindparam("guard_id"),
            jobs_table.c.status == bindparam("guard_status"),
            jobs_table.c.event_sequence == bindparam("guard_sequence"),
        )
        .values({name: bindparam(f"new_{name}", type_=jobs_table.c[name].type) for name in names})
    )
