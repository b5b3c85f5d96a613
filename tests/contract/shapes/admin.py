"""JSON shapes of what admins and watchdogs read."""

from dc1.testing.rest import Json
from tests.contract.fitting import free_object, integer, or_null, text, time

DASHBOARD: Json = {
    "stats": {
        **dict.fromkeys(
            (
                "total_providers",
                "total_owners",
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
                "refused_calls",
                "refused_at_edge",
            ),
            integer,
        ),
        "timestamp": time,
    },
    "gpu_breakdown": [{"gpu_model": or_null(text), "gpu_source": text, "count": integer}],
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
