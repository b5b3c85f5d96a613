"""JSON shapes of jobs."""

from dc1.testing.rest import Json
from tests.contract.fitting import flag, free_object, integer, number, or_null, text, time

JOB: Json = {
    "id": integer,
    "job_id": text,
    "renter_id": integer,
    "provider_id": or_null(integer),
    "job_type": text,
    "model": or_null(text),
    "status": text,
    "submitted_at": time,
    "started_at": or_null(time),
    "timeout_at": or_null(time),
    "duration_minutes": or_null(number),
    "cost_halala": integer,
    "max_duration_seconds": integer,
    "gpu_requirements": or_null(free_object),
    "container_spec": {
        "image_type": text,
        "vram_required_mb": integer,
        "gpu_count": integer,
        "compute_type": text,
        "pricing_class": text,
    },
    "priority": integer,
    "pricing_class": text,
    "prewarm_requested": flag,
    "checkpoint_enabled": flag,
    "queue_position": or_null(integer),
    "workspace_volume_name": text,
}

SUBMITTED: Json = {
    **JOB,
    "id": text,
    "success": flag,
    "job": JOB,
    "queued": flag,
    "message": or_null(text),
    "dispatch": {"assigned": flag, "queued": flag, "hold_id": text, "provider": or_null(free_object)},
}

JOB_DETAIL: Json = {
    **JOB,
    "params": or_null(free_object),
    "task_spec": or_null(free_object),
    "completed_at": or_null(time),
    "queue_deadline_at": or_null(time),
    "progress_phase": or_null(text),
    "progress_updated_at": or_null(time),
    "attempt_number": integer,
    "retry_count": integer,
    "max_retries": integer,
    "retry_reason": or_null(text),
    "retried_from_job_id": or_null(integer),
    "elapsed_sec": or_null(integer),
    "used_seconds": or_null(number),
    "prompt_tokens": or_null(integer),
    "completion_tokens": or_null(integer),
    "endpoint_url": or_null(text),
    "actual_cost_halala": or_null(integer),
    "provider_earned_halala": or_null(integer),
    "dc1_fee_halala": or_null(integer),
    "refunded_halala": or_null(integer),
    "refunded_at": or_null(time),
    "error": or_null(text),
    "error_category": or_null(text),
    "source": text,
}

SHOWN_JOB: Json = {
    "job": JOB_DETAIL,
    "id": text,
    "job_id": text,
    "status": text,
    "container_image": text,
    "created_at": time,
}

OUTPUT: Json = {
    "job_id": text,
    "status": text,
    "job_type": text,
    "provider_id": or_null(integer),
    "provider_name": or_null(text),
    "duration_minutes": or_null(number),
    "cost_halala": integer,
    "submitted_at": time,
    "started_at": or_null(time),
    "completed_at": or_null(time),
    "execution_time_sec": number,
    "progress_phase": or_null(text),
    "message": text,
    "error": or_null(text),
    "result": lambda value: value is None or isinstance(value, dict | str),
    "result_type": or_null(text),
}

LOGS: Json = {
    "schema_version": text,
    "job_id": text,
    "status": text,
    "logs": [
        {
            "line_no": integer,
            "level": text,
            "message": text,
            "attempt_number": integer,
            "logged_at": time,
            "logged_at_ms": integer,
        }
    ],
    "total_lines": integer,
    "has_more": flag,
}

LIFECYCLE: Json = {
    "schema_version": text,
    "job_id": text,
    "status": text,
    "events": [
        {
            "sequence_no": integer,
            "event_type": text,
            "status": text,
            "source": text,
            "error_category": or_null(text),
            "error_code": or_null(text),
            "message": or_null(text),
            "payload": or_null(free_object),
            "occurred_at": time,
            "occurred_at_ms": integer,
        }
    ],
    "total_events": integer,
    "has_more": flag,
}

JOB_LIST: Json = {
    "total": integer,
    "limit": integer,
    "offset": integer,
    "jobs": [
        {
            "id": integer,
            "job_id": text,
            "gpu_model": or_null(text),
            "job_type": text,
            "status": text,
            "submitted_at": time,
            "started_at": or_null(time),
            "ended_at": or_null(time),
            "duration_seconds": or_null(integer),
            "tokens_used": integer,
            "cost_halala": integer,
            "cost_sar": number,
            "refunded": flag,
        }
    ],
}

SETTLEMENT: Json = {
    "success": flag,
    "job": JOB_DETAIL,
    "billing": {
        "actual_cost_halala": integer,
        "provider_earned_halala": integer,
        "dc1_fee_halala": integer,
        "refunded_halala": integer,
        "used_seconds": number,
    },
    "next_job_promoted": flag,
}

JOB_STATE: Json = {
    "event": text,
    "job_id": text,
    "status": text,
    "provider_id": or_null(integer),
    "progress_phase": or_null(text),
    "attempt_number": integer,
    "elapsed_sec": or_null(integer),
    "tokens_used": integer,
    "cost_halala": integer,
    "ts": time,
}

COMPLETED: Json = {name: SETTLEMENT[name] for name in ("success", "job", "billing")}

EXECUTIONS: Json = {
    "job_id": text,
    "status": text,
    "cost_halala": integer,
    "actual_cost_halala": or_null(integer),
    "retry_count": integer,
    "executions": [
        {
            "attempt_number": integer,
            "provider_id": integer,
            "started_at": time,
            "ended_at": or_null(time),
            "exit_code": or_null(integer),
            "gpu_seconds_used": or_null(number),
            "outcome": or_null(text),
            "error_detail": or_null(text),
        }
    ],
}
