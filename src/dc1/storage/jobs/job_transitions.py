"""The one place that changes a job's row: lock it, write it under a guard, append the event, move the counters."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from dc1.domain.jobs.states import Actor, JobEvent, JobStatus, can_move
from dc1.domain.money.pricing import Settlement
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.jobs import job_events
from dc1.storage.jobs.job_records import JobRow, job_shape
from dc1.storage.money import counters
from dc1.storage.schema.tables import jobs

_BY_ID = select(*job_shape.columns).where(jobs.c.id == bindparam("wanted"))
_LOCK = PreparedStatement(_BY_ID.with_for_update(key_share=True))
_LOCK_IF_FREE = PreparedStatement(_BY_ID.with_for_update(key_share=True, skip_locked=True))


@dataclass(frozen=True, slots=True)
class Transition:
    """A job after a move, and where its hold went if the move was its last."""

    job: JobRow
    settlement: Settlement | None = None


def locked(conn: Connection, job_id: int) -> JobRow | None:
    """The job, which nobody else can move until the transaction ends; None when there is none."""
    return job_shape.first(_LOCK.rows(conn, {"wanted": job_id}))


def locked_if_free(conn: Connection, job_id: int) -> JobRow | None:
    """As locked(), but None too while somebody else moves the job."""
    return job_shape.first(_LOCK_IF_FREE.rows(conn, {"wanted": job_id}))


def allowed(job: JobRow, target: JobStatus, actor: Actor) -> bool:
    """Whether the table of moves lets ``actor`` take the job to ``target``."""
    return can_move(JobStatus(job.status), target, actor)


def write(
    conn: Connection,
    job: JobRow,
    event: JobEvent,
    actor: Actor,
    now_ms: int,
    *,
    message: str | None = None,
    payload: dict[str, Any] | None = None,
    **changes: Any,
) -> JobRow:
    """Change a locked job and append the event that tells of it; counters are left to the caller."""
    changes["event_sequence"] = job.event_sequence + 1
    guard = {"guard_id": job.id, "guard_status": job.status, "guard_sequence": job.event_sequence}
    found = _update(tuple(changes)).run(conn, guard | {f"new_{name}": value for name, value in changes.items()})
    assert found == 1, "a locked job was moved by somebody else"
    after = replace(job, **changes)
    job_events.append(conn, event_of(after, event, actor, now_ms, message=message, payload=payload))
    return after


def move(
    conn: Connection,
    job: JobRow,
    target: JobStatus,
    event: JobEvent,
    actor: Actor,
    now_ms: int,
    *,
    message: str | None = None,
    payload: dict[str, Any] | None = None,
    **changes: Any,
) -> JobRow:
    """Take a locked job from one open state to another and count it there."""
    after = write(conn, job, event, actor, now_ms, message=message, payload=payload, status=target.value, **changes)
    counters.add(conn, job.id, **{f"jobs_{job.status}": -1, f"jobs_{target}": 1})
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
    """The event that tells of the job's present state."""
    standing = {
        "provider_id": job.provider_id,
        "attempt_number": job.attempt_number,
        "progress_phase": job.progress_phase,
    }
    return job_events.EventRow(
        job_id=job.id,
        sequence_no=job.event_sequence,
        event_type=event.value,
        status=job.status,
        source=actor.value,
        error_category=job.error_category,
        error_code=None,
        message=message,
        payload=standing | (payload or {}),
        occurred_at_ms=now_ms,
    )


@cache
def _update(names: tuple[str, ...]) -> PreparedStatement:
    return PreparedStatement(
        update(jobs)
        .where(
            jobs.c.id == bindparam("guard_id"),
            jobs.c.status == bindparam("guard_status"),
            jobs.c.event_sequence == bindparam("guard_sequence"),
        )
        .values({name: bindparam(f"new_{name}", type_=jobs.c[name].type) for name in names})
    )
