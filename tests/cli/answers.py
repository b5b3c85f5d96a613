"""Answers as the service gives them, for commands that print them."""

from typing import Any

JOB: dict[str, Any] = {
    "id": 1,
    "job_id": "job-1774206010000-ab12cd",
    "renter_id": 1,
    "provider_id": 1,
    "job_type": "llm_inference",
    "model": None,
    "status": "pending",
    "submitted_at": "2026-03-22T19:00:10.000Z",
    "started_at": None,
    "duration_minutes": 3,
    "cost_halala": 45,
    "hold_rate_halala_per_minute": 15,
    "rate_halala_per_minute": 15,
    "queue_position": None,
}
SETTLED: dict[str, Any] = {
    **JOB,
    "status": "completed",
    "attempt_number": 1,
    "started_at": "2026-03-22T19:00:10.010Z",
    "completed_at": "2026-03-22T19:01:45.000Z",
    "error": None,
    "used_seconds": 95,
    "actual_cost_halala": 24,
    "provider_earned_halala": 18,
    "dc1_fee_halala": 6,
    "refunded_halala": 21,
}
BALANCE: dict[str, Any] = {
    "balance_halala": 976,
    "balance_sar": 9.76,
    "held_halala": 45,
    "held_sar": 0.45,
    "available_halala": 976,
    "total_spent_halala": 24,
    "total_spent_sar": 0.24,
    "total_jobs": 2,
}
DASHBOARD: dict[str, Any] = {
    "stats": {
        "total_providers": 1,
        "total_owners": 1,
        "online_now": 1,
        "offline": 0,
        "total_renters": 1,
        "active_renters": 1,
        "total_renter_balance_halala": 976,
        "total_jobs": 1,
        "completed_jobs": 1,
        "failed_jobs": 0,
        "active_jobs": 0,
        "total_revenue_halala": 24,
        "total_dc1_fees_halala": 6,
        "today_revenue_halala": 24,
        "today_dc1_fees_halala": 6,
        "today_jobs": 1,
        "timestamp": "2026-03-22T19:02:00.000Z",
        "refused_calls": 3,
        "refused_at_edge": 12,
    },
    "gpu_breakdown": [{"gpu_model": "NVIDIA GeForce RTX 4090", "gpu_source": "reported", "count": 1}],
    "recent_signups": [],
    "recent_heartbeats": [
        {
            "id": 1,
            "name": "Najd [bold]GPU",
            "gpu_model": None,
            "gpu_source": "claimed",
            "provider_ip": "203.0.113.7",
            "provider_hostname": None,
            "last_heartbeat": "2026-03-22T19:01:35.000Z",
            "gpu_status": None,
        }
    ],
}
ENTRY: dict[str, Any] = {
    "id": 9,
    "amount_halala": 45,
    "direction": "debit",
    "kind": "hold",
    "job_id": "job-1774206010000-ab12cd",
    "note": None,
    "balance_after_halala": 955,
    "created_at": "2026-03-22T19:00:10.000Z",
}
