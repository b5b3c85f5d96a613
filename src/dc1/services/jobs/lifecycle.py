"""A job's lifecycle: by the page, and as server-sent events, event by event or as the states that clients show."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from dc1.control.control_plane import ControlPlane
from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.jobs.states import TERMINAL, JobEvent, JobStatus, state_name
from dc1.domain.money.pricing import elapsed_seconds
from dc1.services.api.event_stream import PAGE, Reader, Stored, frame
from dc1.services.api.values import message_json, to_value
from dc1.services.jobs.messages import SCHEMA_VERSION, current_cost, elapsed_sec, lifecycle_event, tokens_used
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_events, jobs
from dc1.storage.jobs.job_events import EventRow
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import AttemptRow
from dcp.v1.admin_job_service_pb2 import ListJobEventsRequest
from dcp.v1.job_progress_pb2 import JobStateEvent, ListJobLifecycleRequest

_DEFAULT = 200
_MOST = 1000
_NOT_STATES = frozenset({JobEvent.RETRIED, JobEvent.ENDPOINT_READY})
"""Events that leave the state of their job as it was."""


def lifecycle_reader(
    request: ListJobLifecycleRequest | ListJobEventsRequest,
) -> Callable[[Connection, JobRow], dict[str, Any]]:
    """Return what reads the events of a job that a request asks for, as the fields of its answer.

    An unknown `event_type` is refused with those that are allowed.
    """
    limit = min(request.limit or _DEFAULT, _MOST)
    event_type = _event_type(request.event_type) if request.event_type else None
    since = request.since_sequence

    def read(conn: Connection, job: JobRow) -> dict[str, Any]:
        # One more than asked for tells whether there are more.
        page = job_events.page(conn, job.id, since_sequence=since, limit=limit + 1, event_type=event_type)
        return {
            "schema_version": SCHEMA_VERSION,
            "job_id": job.job_id,
            "status": job.status,
            "events": [lifecycle_event(row) for row in page.rows[:limit]],
            "total_events": page.total,
            "has_more": len(page.rows) > limit,
        }

    return read


def _event_type(name: str) -> JobEvent:
    if name not in set(JobEvent):
        raise errors.invalid_enum("event_type", JobEvent)
    return JobEvent(name)


class _EventReader(Reader):
    """A reader whose frames have the numbers of lifecycle events."""

    async def is_over(self, last_id: int) -> bool:
        """Tell whether the job has ended without an event of that number."""
        job = await self.plane.db.read(lambda conn: jobs.known(conn, self.row_id))
        return job.is_terminal and last_id > job.event_sequence


class LifecycleReader(_EventReader):
    """Reads the lifecycle events after a sequence number."""

    async def stored(self) -> Stored:
        """Read the next page of events."""

        def next_events(conn: Connection) -> tuple[list[EventRow], JobRow]:
            return job_events.after(conn, self.row_id, self.last_id, limit=PAGE), jobs.known(conn, self.row_id)

        # One snapshot: were the job read after its events, it could have ended by one that is not among them.
        rows, job = await self.plane.db.read(next_events)
        self.last_id = rows[-1].sequence_no if rows else self.last_id
        return Stored(b"".join(_event_frame(row) for row in rows), len(rows) == PAGE, job)


class StateReader(_EventReader):
    """Reads the states of a job after a lifecycle event, or without one the present state and those to come."""

    def __init__(self, plane: ControlPlane, row_id: int, since: int | None) -> None:
        super().__init__(plane, row_id, since or 0)
        # `since_sequence=0` asks for everything from the start, its absence for the present alone (contract 6.1).
        self._resumes = since is not None

    async def stored(self) -> Stored:
        """Read the next page of events as states."""
        if not self._resumes:
            return await self._present()

        def next_states(conn: Connection) -> tuple[list[EventRow], _States]:
            return job_events.after(conn, self.row_id, self.last_id, limit=PAGE), _States.read(conn, self.row_id)

        rows, states = await self.plane.db.read(next_states)
        self.last_id = rows[-1].sequence_no if rows else self.last_id
        data = b"".join(states.past(row) for row in rows if row.event_type not in _NOT_STATES)
        return Stored(data, len(rows) == PAGE, states.job)

    async def _present(self) -> Stored:
        def present_state(conn: Connection) -> tuple[EventRow, _States]:
            return job_events.last(conn, self.row_id, besides=_NOT_STATES), _States.read(conn, self.row_id)

        event, states = await self.plane.db.read(present_state)
        self._resumes = True
        # The job's, not the shown event's: behind it may be events that are no states, and resuming has to pass those
        # too.
        self.last_id = states.job.event_sequence
        return Stored(states.present(event, self.plane.clock.now_ms()), more=False, job=states.job)


def _event_frame(row: EventRow) -> bytes:
    return frame(message_json(lifecycle_event(row)), event_id=row.sequence_no, event=row.event_type)


@dataclass(frozen=True, slots=True)
class _States:
    """A job with what it takes to say how it was at each of its events."""

    job: JobRow
    attempts: dict[int, AttemptRow]

    @classmethod
    def read(cls, conn: Connection, row_id: int) -> Self:
        attempts = {attempt.attempt_number: attempt for attempt in jobs.attempts(conn, row_id)}
        return cls(jobs.known(conn, row_id), attempts)

    def present(self, event: EventRow, now_ms: int) -> bytes:
        """Return the state that the last event led to, with the time that has passed since."""
        return self._frame(event, elapsed_sec(self.job, now_ms))

    def past(self, event: EventRow) -> bytes:
        """Return the state as an event left it."""
        # By the times that are stored: a client that resumes gets the frame it would have got then.
        return self._frame(event, self._elapsed_at(event))

    def _elapsed_at(self, event: EventRow) -> int | None:
        attempt = self.attempts.get(event.payload.get("attempt_number", 0))
        if attempt is None or event.status in (JobStatus.QUEUED, JobStatus.PENDING):
            return None
        # A job may end while it waits after an attempt that was lost.
        if event.status in TERMINAL and attempt.outcome != (event.error_category or event.status):
            return None
        return elapsed_seconds(attempt.started_at_ms, event.occurred_at_ms)

    def _frame(self, event: EventRow, elapsed: int | None) -> bytes:
        phase = event.payload.get("progress_phase")
        ended = event.status in TERMINAL
        name = state_name(event.status, phase)
        state = JobStateEvent(
            event=name,
            job_id=self.job.job_id,
            status=event.status,
            provider_id=to_value(event.payload.get("provider_id")),
            progress_phase=to_value(phase),
            attempt_number=event.payload.get("attempt_number", 0),
            elapsed_sec=to_value(elapsed),
            # The row is the job of today. Only its end is told by it: whatever was before had used nothing and cost its
            # quote.
            tokens_used=tokens_used(self.job) if ended else 0,
            cost_halala=current_cost(self.job) if ended else self.job.cost_halala,
            ts=iso(event.occurred_at_ms),
        )
        return frame(message_json(state), event_id=event.sequence_no, event=name)
