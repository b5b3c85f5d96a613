"""Jobs as messages: whole, as a line of a list, as their daemons get them, with their log lines and events."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Value

from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.leases import Assignment
from dc1.domain.access.task_signatures import task_signature, task_text
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject
from dc1.domain.base.numeric import plain
from dc1.domain.inference.chat import params_of
from dc1.domain.inference.kinds import kind_of
from dc1.domain.jobs.container_spec import handed_out_container_spec, scripted_limits, streamed_container_spec
from dc1.domain.jobs.states import JobStatus, workspace_volume_name
from dc1.domain.jobs.submission import PREFERENCES
from dc1.domain.jobs.tasks.daemon_tasks import daemon_task
from dc1.domain.money.machine_prices import UNIT_PRICE_BPS
from dc1.domain.money.pricing import Settlement, elapsed_seconds, halala_to_sar, rate_per_minute
from dc1.services.api.values import NULL, time_value, to_struct, to_value
from dc1.storage.jobs.job_events import EventRow
from dc1.storage.jobs.job_logs import LogRow
from dc1.storage.jobs.job_records import JobRow, JobSpec, ordered
from dcp.v1 import job_lists_pb2, job_progress_pb2, report_pb2
from dcp.v1.job_pb2 import Billing, JobDetail

SCHEMA_VERSION = "2026-03-20.v1"
"""Of log lines and lifecycle events, as their readers know it."""


def job_fields(
    job: JobRow, spec: JobSpec, queue_position: int | None, waiting_for: str | None = None
) -> dict[str, Any]:
    """Return the fields that every view of a job shares."""
    most = job.max_rate_halala_per_minute
    return {
        "id": job.id,
        "job_id": job.job_id,
        "renter_id": job.renter_id,
        "provider_id": to_value(shown_provider_id(job)),
        "job_type": job.job_type,
        "model": to_value(job.model),
        "status": job.status,
        "submitted_at": iso(job.submitted_at_ms),
        "started_at": time_value(job.started_at_ms),
        "timeout_at": time_value(job.timeout_at_ms),
        "duration_minutes": _duration_value(job),
        "cost_halala": job.cost_halala,
        "max_duration_seconds": job.max_duration_seconds,
        "gpu_requirements": to_value(spec.gpu_requirements),
        "container_spec": to_struct(spec.container_spec),
        "priority": job.priority,
        "pricing_class": job.pricing_class,
        "prewarm_requested": job.prewarm_requested,
        "checkpoint_enabled": job.checkpoint_enabled,
        "queue_position": to_value(queue_position),
        "waiting_for": to_value(waiting_for),
        "workspace_volume_name": workspace_volume_name(job.job_id),
        "hold_rate_halala_per_minute": to_value(minute_rate(job, job.hold_price_bps)),
        "rate_halala_per_minute": to_value(minute_rate(job, job.run_price_bps)),
        "max_rate_halala_per_minute": NULL if most is None else to_value(plain(most)),
        "prefer": PREFERENCES[job.prefers_price],
    }


def public_head(job: JobRow) -> dict[str, str]:
    """Return what every answer about one job has at its top level: its public id, under both names, and its status."""
    return {"id": job.job_id, "job_id": job.job_id, "status": job.status}


def minute_rate(job: JobRow, price_bps: int | None) -> float | None:
    """Return what a minute costs at a machine's price, in halala; None where there is no such price."""
    return None if price_bps is None else rate_per_minute(job.rate_halala_per_minute, job.class_multiplier, price_bps)


def shown_provider_id(job: JobRow) -> int | None:
    """Return the provider of the current or last attempt, or else the one that the job names, or None."""
    # A named provider is shown while the job waits for it: nobody else can get it (contract 4.3).
    return job.named_provider_id if job.provider_id is None else job.provider_id


def _duration_value(job: JobRow) -> Value:
    """Return the prepaid minutes, or null."""
    # Null for a /v1 call, which prepays tokens and no time (contract 6.2). `plain`, as 3 must not print as 3.0.
    return NULL if job.duration_minutes is None else to_value(plain(job.duration_minutes))


def elapsed_sec(job: JobRow, now_ms: int) -> int | None:
    """Return how many seconds the current attempt has run, or ran; None before it starts."""
    if job.started_at_ms is None:
        return None
    end_ms = job.completed_at_ms if job.completed_at_ms is not None else now_ms
    return elapsed_seconds(job.started_at_ms, end_ms)


def current_cost(job: JobRow) -> int:
    """Return what a job cost once it is settled, its quote before, in halala."""
    return job.cost_halala if job.actual_cost_halala is None else job.actual_cost_halala


def tokens_used(job: JobRow) -> int:
    """Return the tokens of prompt and answer together, 0 when none were reported."""
    return (job.prompt_tokens or 0) + (job.completion_tokens or 0)


MOST_DOCUMENTS = 8 * 1024 * 1024
"""Characters of JSON that were sent with the jobs of a list: one job may have a MiB, and no answer holds 500."""

_NO_DOCUMENTS = JobSpec({})


def container_image(container_spec: JsonObject) -> str:
    """Return the image of a container job, empty for other jobs."""
    return str(container_spec.get("image") or "")


def job_detail(
    job: JobRow,
    spec: JobSpec | None,
    now_ms: int,
    queue_position: int | None = None,
    waiting_for: str | None = None,
) -> JobDetail:
    """Return everything that is known of a job; without its documents it says that they were left out."""
    if spec is None:
        detail = job_detail(job, _NO_DOCUMENTS, now_ms, queue_position, waiting_for)
        detail.documents_left_out = True
        return detail
    detail = JobDetail(**job_fields(job, spec, queue_position, waiting_for))
    # Copied: a field that is a message cannot be assigned to.
    detail.params.CopyFrom(to_value(spec.said))
    detail.task_spec.CopyFrom(to_value(spec.task_spec))
    # The row keeps the deadline of the last wait; while a job runs it is none (contract 4.2).
    waiting = job.status in (JobStatus.QUEUED, JobStatus.PENDING)
    detail.queue_deadline_at.CopyFrom(time_value(job.queue_deadline_at_ms if waiting else None))
    detail.progress_updated_at.CopyFrom(time_value(job.progress_updated_at_ms))
    detail.completed_at.CopyFrom(time_value(job.completed_at_ms))
    detail.refunded_at.CopyFrom(time_value(job.refunded_at_ms))
    detail.attempt_number = job.attempt_number
    detail.retry_count = job.retry_count
    detail.max_retries = job.max_retries
    detail.source = job.source
    detail.elapsed_sec.CopyFrom(to_value(elapsed_sec(job, now_ms)))
    used = job.used_seconds
    detail.used_seconds.CopyFrom(NULL if used is None else to_value(plain(used)))
    if job.documents_erased_at_ms is not None:
        detail.documents_erased_at = iso(job.documents_erased_at_ms)
    seen = job.gpu_conditions or {}
    for name in ("performance_ratio", "throttled", "throttle_reasons", "gpu_lost"):
        # Of an attempt before it nothing is said: that was another machine.
        is_of_it = seen.get("attempt") == job.attempt_number
        getattr(detail, name).CopyFrom(to_value(seen.get(name) if is_of_it else None))
    for name in _COPIED:
        getattr(detail, name).CopyFrom(to_value(getattr(job, name)))
    return detail


_COPIED = (
    "progress_phase",
    "retry_reason",
    "retried_from_job_id",
    "prompt_tokens",
    "completion_tokens",
    "endpoint_url",
    "actual_cost_halala",
    "provider_earned_halala",
    "dc1_fee_halala",
    "refunded_halala",
    "error",
    "error_category",
    "fault",
)


def billing(job: JobRow) -> Billing:
    """Return how a settled job was paid."""
    return Billing(
        actual_cost_halala=job.actual_cost_halala or 0,
        provider_earned_halala=job.provider_earned_halala or 0,
        dc1_fee_halala=job.dc1_fee_halala or 0,
        refunded_halala=job.refunded_halala or 0,
        used_seconds=float(job.used_seconds or 0),
    )


def assignment_message(
    assignment: Assignment, images: Mapping[str, str], *, as_bytes: bool = False
) -> report_pb2.Assignment:
    """Return a job as its daemon gets it, `as_bytes` the body of a call; `images` has an approved one for each type."""
    job, spec = assignment.job, assignment.spec
    message = report_pb2.Assignment(
        id=job.id,
        job_id=job.job_id,
        job_type=job.job_type,
        model=to_value(job.model),
        priority=job.priority,
        pricing_class=job.pricing_class,
        attempt_number=assignment.attempt,
        params=to_value(spec.params if spec.inference_body is None or as_bytes else params_of(spec.said)),
        task_spec=to_value(spec.task_spec),
        env_vars=spec.env_vars or {},
        container_spec=to_struct(streamed_container_spec(job.job_type, spec.container_spec, spec.params, images)),
        gpu_requirements=to_value(spec.gpu_requirements),
        duration_minutes=_duration_value(job),
        # Not what the renter asked for, which views of the job show: prepaid time limits it (contract 4.2), and a
        # daemon that ran longer would do so for nothing.
        max_duration_seconds=job.run_deadline_seconds,
        started_at=time_value(job.started_at_ms),
        timeout_at=time_value(job.timeout_at_ms),
        # On the stream a task comes as it was sent, not as text, and over text alone a code can be told.
        task_spec_hmac=NULL,
        cost_per_gpu_second_halala=_cost_per_second(job),
        provider_earnings_halala=provider_share(job),
        traceparent=assignment.traceparent,
    )
    if as_bytes and spec.inference_body is not None:
        message.inference_path = spec.inference_path or ""
        message.inference_body = spec.inference_body.encode()
        message.inference_max_tokens = kind_of(spec.inference_path).tokens_of_each(spec.said)
    return message


def polled_assignment(
    assignment: Assignment, images: Mapping[str, str], key_hash: str, *, scripted: bool
) -> report_pb2.Assignment:
    """Return a job as a daemon that polls reads it: the task as text with its code, the container spec complete.

    One that is `scripted` takes from the task alone what it runs, and finds the order in it.
    """
    shown = assignment_message(assignment, images)
    job, spec = assignment.job, assignment.spec
    container = handed_out_container_spec(job.job_type, spec.container_spec, spec.params, images)
    task = daemon_task(ordered(job, spec)) if scripted else None
    if task is not None:
        container |= scripted_limits(container, task.job_cmd)
    shown.container_spec.CopyFrom(to_struct(container))
    # Text, and signed as that text: a daemon that parsed and printed the JSON again would get other bytes (contract 8).
    text = task_text(spec.task_spec) if task is None else task.text
    shown.task_spec.CopyFrom(to_value(text))
    shown.task_spec_hmac.CopyFrom(NULL if text is None else to_value(task_signature(key_hash, text)))
    return shown


def provider_share(job: JobRow) -> int:
    """Return what a job earned its provider once it is settled, its share of the quote before, in halala."""
    if job.is_terminal:
        return job.earned_halala
    return Settlement.split(job.cost_halala, job.cost_halala, job.fee_bps).provider


def _cost_per_second(job: JobRow) -> float:
    # A /v1 call is paid by the token; a second of it has no price.
    if job.token_price_halala is not None:
        return 0
    price_bps = UNIT_PRICE_BPS if job.run_price_bps is None else job.run_price_bps // job.gpu_count
    return round(rate_per_minute(job.rate_halala_per_minute, job.class_multiplier, price_bps) / 60, 6)


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


def log_line(row: LogRow) -> job_progress_pb2.LogLine:
    """Return a stored log line."""
    return job_progress_pb2.LogLine(
        line_no=row.line_no,
        level=row.level,
        message=row.message,
        attempt_number=row.attempt_number,
        logged_at=iso(row.logged_at_ms),
        logged_at_ms=row.logged_at_ms,
    )


def lifecycle_event(row: EventRow) -> job_progress_pb2.LifecycleEvent:
    """Return a stored lifecycle event."""
    return job_progress_pb2.LifecycleEvent(
        sequence_no=row.sequence_no,
        event_type=row.event_type,
        status=row.status,
        source=row.source,
        error_category=to_value(row.error_category),
        error_code=to_value(row.error_code),
        message=to_value(row.message),
        payload=to_value(row.payload),
        fault=to_value(row.payload.get("fault")),
        occurred_at=iso(row.occurred_at_ms),
        occurred_at_ms=row.occurred_at_ms,
    )
