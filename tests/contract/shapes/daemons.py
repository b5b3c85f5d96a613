"""JSON shapes of what daemons are answered."""

from dc1.testing.rest import Json
from tests.contract.fitting import anything, flag, free_object, integer, nothing, number, or_null, text, time

HEARTBEAT: Json = {
    "success": flag,
    "message": text,
    "timestamp": time,
    "needs_update": flag,
    "update_available": flag,
    "latest_version": text,
    "min_version": text,
    "approval_status": text,
    "approved": flag,
    "is_paused": flag,
    "preload_model": nothing,
}

ASSIGNMENT: Json = {
    "id": integer,
    "job_id": text,
    "job_type": text,
    "model": or_null(text),
    "priority": integer,
    "pricing_class": text,
    "attempt_number": integer,
    "params": or_null(free_object),
    "env_vars": free_object,
    "task_spec": or_null(text),
    "task_spec_hmac": or_null(text),
    "cost_per_gpu_second_halala": number,
    "provider_earnings_halala": integer,
    "container_spec": {"image": text, "job_cmd": anything, "network": text, "gpu_count": integer},
    "gpu_requirements": or_null(free_object),
    "duration_minutes": or_null(number),
    "max_duration_seconds": integer,
    "started_at": time,
    "timeout_at": time,
}

POLL: Json = {
    "job": or_null(free_object),
    "jobs": [ASSIGNMENT],
    "admission": {"accepted": flag, "reason_code": text, "reason": text},
}

RUN_RESULT: Json = {
    "success": flag,
    "job_id": text,
    "status": text,
    "actual_minutes": number,
    "gpu_seconds_used": number,
    "cost_halala": integer,
    "provider_earned_halala": integer,
    "dc1_fee_halala": integer,
    "refunded_halala": integer,
    "restart_count": integer,
    "last_error": or_null(text),
}

DAEMON_JOBS: Json = {
    "jobs": [
        {
            "id": integer,
            "job_id": text,
            "job_type": text,
            "model": or_null(text),
            "status": text,
            "attempt_number": integer,
            "duration_minutes": number,
            "max_duration_seconds": integer,
            "cost_halala": integer,
            "earned_halala": integer,
            "provider_earnings_halala": integer,
            "container_spec": free_object,
            "params": or_null(free_object),
            "submitted_at": time,
            "started_at": or_null(time),
            "completed_at": or_null(time),
        }
    ],
    "total": integer,
}
