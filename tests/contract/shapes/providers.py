"""JSON shapes of providers."""

from dc1.testing.rest import Json
from tests.contract.fitting import anything, flag, free_object, integer, number, or_null, text, time

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
    "promo_earnings_halala": integer,
    "total_jobs": integer,
    "escrow": dict.fromkeys(("held_jobs", "held_halala", "locked_jobs", "locked_halala"), integer),
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

PROVIDER_EXPORT: Json = {
    "exported_at": time,
    "account": PROVIDER_ACCOUNT["provider"],
    "jobs": PROVIDER_ACCOUNT["recent_jobs"],
    "earnings": [{"date": text, "jobs": integer, "earned_halala": integer, "earned_sar": number}],
    "withdrawals": [{"id": text, "amount_halala": integer, "iban_hint": text, "status": text, "created_at": time}],
}
