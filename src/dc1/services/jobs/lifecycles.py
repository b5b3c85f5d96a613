"""Pages of a job's lifecycle events, for whoever may read them."""

from collections.abc import Callable
from typing import Any

from dc1.domain import errors
from dc1.domain.jobs.states import JobEvent
from dc1.services.jobs.lists import SCHEMA_VERSION, lifecycle_event
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_events
from dc1.storage.jobs.job_records import JobRow
from dcp.v1.admin_job_service_pb2 import ListJobEventsRequest
from dcp.v1.job_progress_pb2 import ListJobLifecycleRequest

_DEFAULT = 200
_MOST = 1000


def lifecycle_reader(
    request: ListJobLifecycleRequest | ListJobEventsRequest,
) -> Callable[[Connection, JobRow], dict[str, Any]]:
    """Return what reads the events of a job that a request asks for, as the fields of its answer.

    Raises `Invalid event_type. Allowed: …`.
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
