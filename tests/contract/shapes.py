"""JSON shapes: what type each documented key has, and that none is missing."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.stack.rest import Json

Check: TypeAlias = Callable[[Any], bool]
Shape: TypeAlias = "Check | dict[str, Shape] | list[Shape]"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def integer(value: Any) -> bool:
    """An integer without a fraction."""
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return integer(value) or isinstance(value, float)


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def time(value: Any) -> bool:
    """ISO-8601 UTC with milliseconds."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def free_object(value: Any) -> bool:
    return isinstance(value, dict)


def anything(value: Any) -> bool:
    return True


def nothing(value: Any) -> bool:
    return value is None


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def differences(value: Any, shape: Shape, path: str = "$") -> list[str]:
    """What in `value` is not as in `shape`; further keys are allowed. A list's shape is that of each entry."""
    if callable(shape):
        return [] if shape(value) else [f"{path} is {value!r}, not {shape.__name__}"]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path} is {value!r}, not a list"]
        return [line for index, entry in enumerate(value) for line in differences(entry, shape[0], f"{path}[{index}]")]
    if not isinstance(value, dict):
        return [f"{path} is {value!r}, not an object"]
    missing = [f"{path}.{key} is missing" for key in shape if key not in value]
    return missing + [
        line for key, part in shape.items() if key in value for line in differences(value[key], part, f"{path}.{key}")
    ]


def fits(value: Any, shape: Shape) -> bool:
    """True, or an AssertionError that names every difference."""
    found = differences(value, shape)
    assert not found, "\n".join(found)
    return True


REGISTERED: Json = {"success": flag, "renter_id": integer, "api_key": text, "message": text}

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

SHOWN_JOB: Json = {"job": JOB_DETAIL, "id": text, "status": text, "container_image": text, "created_at": time}

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

DASHBOARD: Json = {
    "stats": {
        **dict.fromkeys(
            (
                "total_providers",
                "online_now",
                "offline",
                "total_renters",
                "active_renters",
                "total_renter_balance_halala",
                "total_jobs",
                "completed_jobs",
                "failed_jobs",
                "active_jobs",
                "total_revenue_halala",
                "total_dc1_fees_halala",
                "today_revenue_halala",
                "today_dc1_fees_halala",
                "today_jobs",
            ),
            integer,
        ),
        "timestamp": time,
    },
    "gpu_breakdown": [{"gpu_model": or_null(text), "count": integer}],
    "recent_signups": [
        {"id": integer, "name": text, "email": text, "gpu_model": or_null(text), "os": text, "created_at": time}
    ],
    "recent_heartbeats": [
        {
            "id": integer,
            "name": text,
            "gpu_model": or_null(text),
            "provider_ip": or_null(text),
            "provider_hostname": or_null(text),
            "last_heartbeat": time,
            "gpu_status": or_null(free_object),
        }
    ],
}

WALLET: Json = {
    **dict.fromkeys(("balance_halala", "held_halala", "available_halala", "total_spent_halala", "total_jobs"), integer),
    **dict.fromkeys(("balance_sar", "held_sar", "total_spent_sar"), number),
}

RECENT_JOB: Json = {
    "id": integer,
    "job_id": text,
    "job_type": text,
    "status": text,
    "submitted_at": time,
    "completed_at": or_null(time),
    "actual_cost_halala": or_null(integer),
}

RENTER_ACCOUNT: Json = {
    "renter": {
        "id": integer,
        "name": text,
        "email": text,
        "organization": or_null(text),
        "use_case": or_null(text),
        "phone": or_null(text),
        "webhook_url": or_null(text),
        "balance_halala": integer,
        "total_spent_halala": integer,
        "total_jobs": integer,
        "created_at": time,
    },
    "recent_jobs": [RECENT_JOB],
    "jobs": [RECENT_JOB],
    "v1_usage_summary": dict.fromkeys(
        ("total_requests", "prompt_tokens", "completion_tokens", "total_tokens", "total_cost_halala"), integer
    ),
    "balance_halala": integer,
    "balance_sar": number,
    "total_spent_halala": integer,
}

PROVIDER_ACCOUNT: Json = {
    "provider": {
        "id": integer,
        "name": text,
        "email": text,
        "status": text,
        "gpu_model": text,
        "gpu_vram_mib": integer,
        "gpu_count": integer,
        "last_heartbeat": or_null(time),
        "daemon_version": or_null(text),
        "is_paused": flag,
        "is_live": flag,
        "approval_status": text,
        "approved_at": or_null(time),
        "rejected_reason": or_null(text),
        "total_earnings_halala": integer,
        "today_earnings_halala": integer,
        "total_jobs": integer,
        "reputation_score": number,
        "uptime_pct": number,
        "uptime_percent": number,
        "cached_models": [text],
        "supported_compute_types": [text],
        "resource_spec": anything,
        "run_mode": text,
        "scheduled_start": or_null(text),
        "scheduled_end": or_null(text),
        "gpu_usage_cap_pct": or_null(number),
        "vram_reserve_gb": or_null(number),
        "temp_limit_c": or_null(number),
        "week_earnings_halala": integer,
        "month_earnings_halala": integer,
        "gpu_metrics": {"utilization_pct": number, "vram_used_mib": number, "temperature_c": number},
        "active_job": or_null(free_object),
    },
    "recent_jobs": [{"id": integer, "job_id": text, "job_type": text, "status": text}],
}

AVAILABLE: Json = {
    "providers": [
        {
            "id": integer,
            "name": text,
            "gpu_model": text,
            "vram_gb": integer,
            "vram_mib": integer,
            "gpu_count": integer,
            "driver_version": text,
            "compute_capability": text,
            "cuda_version": text,
            "status": text,
            "is_live": flag,
            "location": text,
            "reliability_score": number,
            "cached_models": [text],
            "price_per_hour_sar": number,
        }
    ],
    "total": integer,
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

EARNINGS: Json = {
    "provider_id": integer,
    "name": text,
    "total_earned_sar": number,
    "total_earned_halala": integer,
    "claimable_earnings_halala": integer,
    "pending_withdrawal_sar": number,
    "withdrawn_sar": number,
    "available_sar": number,
    "available_halala": integer,
    "total_jobs": integer,
    "escrow": dict.fromkeys(("held_jobs", "held_halala", "locked_jobs", "locked_halala"), integer),
}

PROVIDER_LIST: Json = {
    **dict.fromkeys(("total", "online", "offline", "registered", "pending_approval"), integer),
    "providers": [{"id": integer, "name": text, "status": text, "approval_status": text, "created_at": time}],
    "pagination": free_object,
}

HEALTH: Json = {
    "status": text,
    "timestamp": time,
    "db": text,
    "providers": {"total": integer, "online": integer},
    "jobs": {"queued": integer, "running": integer},
}

RENTER_JOBS: Json = {
    **dict.fromkeys(("total", "page", "limit", "pages"), integer),
    "jobs": [
        {
            "id": text,
            "job_id": text,
            "job_type": text,
            "provider_id": or_null(integer),
            "container_image": text,
            "status": text,
            "created_at": time,
            "started_at": or_null(time),
            "completed_at": or_null(time),
            "cost_halala": integer,
            "input_tokens": integer,
            "output_tokens": integer,
        }
    ],
}

HISTORY: Json = {
    "jobs": [
        {
            **OUTPUT,
            "actual_cost_halala": integer,
            "cost_sar": text,
            "provider_gpu": or_null(text),
            "refunded": flag,
            "refunded_halala": integer,
            **dict.fromkeys(("type", "response", "output"), or_null(text)),
        }
    ],
    "balance_halala": integer,
    "balance_sar": text,
    "total_jobs": integer,
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
        }
    ],
}

PREFERENCES: Json = {
    "success": flag,
    "preferences": {
        "run_mode": text,
        "scheduled_start": or_null(text),
        "scheduled_end": or_null(text),
        "gpu_usage_cap_pct": or_null(number),
        "vram_reserve_gb": or_null(number),
        "temp_limit_c": or_null(number),
    },
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
            "container_spec": free_object,
            "params": or_null(free_object),
            "submitted_at": time,
            "started_at": or_null(time),
            "completed_at": or_null(time),
        }
    ],
    "total": integer,
}

PROVIDER_EXPORT: Json = {
    "exported_at": time,
    "account": PROVIDER_ACCOUNT["provider"],
    "jobs": PROVIDER_ACCOUNT["recent_jobs"],
    "earnings": [{"date": text, "jobs": integer, "earned_halala": integer, "earned_sar": number}],
    "withdrawals": [{"id": text, "amount_halala": integer, "iban_hint": text, "status": text, "created_at": time}],
}
