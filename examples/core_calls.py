"""A renter registers, a provider's heartbeat arrives, the renter submits a job, the operator looks at the dashboard.

Reads DC1_URL, DC1_PROVIDER_KEY (of an approved provider) and DC1_ADMIN_TOKEN: `python examples/core_calls.py`.
"""

import os

import httpx

with httpx.Client(base_url=os.environ["DC1_URL"]) as dc1:
    renter = dc1.post("/renters/register", json={"name": "Sara Harbi", "email": "sara@example.sa"})
    renter_key = renter.raise_for_status().json()["api_key"]

    heartbeat = dc1.post(
        "/providers/heartbeat",
        headers={"x-provider-key": os.environ["DC1_PROVIDER_KEY"]},
        json={"gpu_status": {"gpu_name": "NVIDIA GeForce RTX 4090", "gpu_vram_mib": 24564, "daemon_version": "3.3.0"}},
    )
    print(heartbeat.raise_for_status().json()["timestamp"])

    job = dc1.post(
        "/jobs/submit",
        headers={"x-renter-key": renter_key, "idempotency-key": "python-example-1"},
        json={"job_type": "llm_inference", "duration_minutes": 3, "params": {"prompt": "Why is the sea blue?"}},
    )
    print(job.raise_for_status().json()["job_id"])

    dashboard = dc1.get("/admin/dashboard", headers={"x-admin-token": os.environ["DC1_ADMIN_TOKEN"]})
    print(dashboard.raise_for_status().json()["stats"]["total_jobs"])
