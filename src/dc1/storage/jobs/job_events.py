"""The lifecycle of a job as a numbered list; every move appends to it in its own transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, func, insert, select

from dc1.domain.jobs.states import Actor, ErrorCategory, JobEvent, JobStatus
from dc1.storage.engine.row_mapping import Page, Shape
from dc1.storage.engine.statements import PreparedStatement, numbered_rows
from dc1.storage.schema.tables import job_events


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; `sequence_no` counts from 1 within the job, `status` is the job's status after it."""

    job_id: int
    sequence_no: int
    event_type: JobEvent
    status: JobStatus
    source: Actor
    error_category: ErrorCategory | None
    error_code: str | None
    message: str | None
    payload: dict[str, Any]
    occurred_at_ms: int


_shape = Shape(EventRow, job_events)


def append(conn: Connection, *events: EventRow) -> None:
    """Store events; the number of the last is the job's `event_sequence`, which the same transaction raised."""
    # No gap and no number twice, because the lock on the job's row is held.
    rows = enumerate(map(_shape.values, events))
    values = {f"{name}_{index}": value for index, row in rows for name, value in row.items()}
    _insert(len(events)).send(conn, values)


# One or two: the start of a run may be stored with its end.
@cache
def _insert(count: int) -> PreparedStatement:
    return PreparedStatement(insert(job_events).values(numbered_rows(job_events, _shape.names, count)))


def page(
    conn: Connection,
    job_id: int,
    *,
    since_sequence: int = 0,
    limit: int = 200,
    event_type: JobEvent | None = None,
) -> Page[EventRow]:
    """Return events after `since_sequence`, oldest first.

    `total` counts the job's events of that type, early ones too.
    """
    matches = [job_events.c.job_id == job_id]
    if event_type is not None:
        matches.append(job_events.c.event_type == event_type)
    query = select(*_shape.columns).where(*matches, job_events.c.sequence_no > since_sequence)
    rows = _shape.all(conn.execute(query.order_by(job_events.c.sequence_no).limit(limit)))
    total = conn.execute(select(func.count()).select_from(job_events).where(*matches)).scalar_one()
    return Page(rows, total)


def after(conn: Connection, job_id: int, since_sequence: int, *, limit: int) -> list[EventRow]:
    """Do as `page`, for callers that need no total."""
    query = select(*_shape.columns).where(job_events.c.job_id == job_id, job_events.c.sequence_no > since_sequence)
    return _shape.all(conn.execute(query.order_by(job_events.c.sequence_no).limit(limit)))


def last(conn: Connection, job_id: int, *, besides: Collection[JobEvent]) -> EventRow:
    """Return the job's last event that is of no type in `besides`; its submission is never one of them."""
    query = select(*_shape.columns).where(job_events.c.job_id == job_id, job_events.c.event_type.not_in(besides))
    found = _shape.first(conn.execute(query.order_by(job_events.c.sequence_no.desc()).limit(1)))
    assert found is not None
    return found
