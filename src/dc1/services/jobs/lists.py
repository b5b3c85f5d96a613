"""Rows of job lists, logs and lifecycles as messages."""

from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import iso
from dc1.domain.jobs.states import OPEN
from dc1.domain.money.pricing import elapsed_seconds, halala_to_sar
from dc1.services.api.values import time_value, to_value
from dc1.services.jobs.messages import current_cost, tokens_used
from dc1.storage.jobs.job_events import EventRow
from dc1.storage.jobs.job_logs import LogRow
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import job_lists_pb2
from dcp.v1 import job_progress_pb2 as pb

SCHEMA_VERSION = "2026-03-20.v1"
"""Of log lines and lifecycle events, as their readers know it."""

_IN_PROGRESS = "in_progress"


def statuses_of(sent: str) -> frozenset[str]:
    """Return the statuses that a list is narrowed to; empty for all, and `in_progress` means not terminal."""
    if sent == _IN_PROGRESS:
        return OPEN
    return frozenset({sent} if sent else ())


def job_summary(job: JobRow, provider: Provider | None) -> job_lists_pb2.JobSummary:
    """Return one line of a job list; `provider` is the one of its current or last attempt."""
    cost = current_cost(job)
    ran = job.started_at_ms is not None and job.completed_at_ms is not None
    return job_lists_pb2.JobSummary(
        id=job.id,
        job_id=job.job_id,
        job_type=job.job_type,
        gpu_model=to_value(None if provider is None else provider.gpu_model),
        status=job.status,
        submitted_at=iso(job.submitted_at_ms),
        started_at=time_value(job.started_at_ms),
        ended_at=time_value(job.completed_at_ms),
        duration_seconds=to_value(elapsed_seconds(job.started_at_ms or 0, job.completed_at_ms or 0) if ran else None),
        tokens_used=tokens_used(job),
        cost_halala=cost,
        cost_sar=halala_to_sar(cost),
        refunded=bool(job.refunded_halala),
    )


def log_line(row: LogRow) -> pb.LogLine:
    """Return a stored log line."""
    return pb.LogLine(
        line_no=row.line_no,
        level=row.level,
        message=row.message,
        attempt_number=row.attempt_number,
        logged_at=iso(row.logged_at_ms),
        logged_at_ms=row.logged_at_ms,
    )


def lifecycle_event(row: EventRow) -> pb.LifecycleEvent:
    """Return a stored lifecycle event."""
    return pb.LifecycleEvent(
        sequence_no=row.sequence_no,
        event_type=row.event_type,
        status=row.status,
        source=row.source,
        error_category=to_value(row.error_category),
        error_code=to_value(row.error_code),
        message=to_value(row.message),
        payload=to_value(row.payload),
        occurred_at=iso(row.occurred_at_ms),
        occurred_at_ms=row.occurred_at_ms,
    )
