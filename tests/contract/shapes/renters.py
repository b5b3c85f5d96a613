"""JSON shapes of renters."""

from dc1.testing.rest import Json
from tests.contract.fitting import flag, integer, number, or_null, text, time
from tests.contract.shapes.jobs import OUTPUT

REGISTERED: Json = {"success": flag, "renter_id": integer, "api_key": text, "message": text}

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
