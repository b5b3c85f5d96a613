"""The smallest daemon that speaks HTTP only: it says it is there, asks for one job, and reports how that ended.

A daemon on the stream (`dc1 daemon`) is told of work at once and survives reconnects; this one is for machines where
that one cannot run. Reads DC1_URL and DC1_PROVIDER_KEY (of an approved provider): `python examples/http_daemon.py`.
"""

import os

import httpx

KEY = {"x-provider-key": os.environ["DC1_PROVIDER_KEY"]}

with httpx.Client(base_url=os.environ["DC1_URL"], headers=KEY) as dc1:
    report = {"gpu_name": "NVIDIA GeForce RTX 4090", "gpu_vram_mib": 24564, "daemon_version": "3.3.0"}
    # What it runs by itself, reading `params`: one that never says so is taken to know nothing but scripts.
    beat = {"gpu_status": report, "job_types": ["llm_inference"]}
    dc1.post("/providers/heartbeat", json=beat).raise_for_status()

    # A poll is a lease: what it hands out is started, and no acknowledgement follows.
    handed = dc1.get("/providers/jobs/next").raise_for_status().json()
    job = handed["job"]
    if job is None:
        print("no work:", handed["admission"]["reason_code"])
    else:
        # Every report carries the attempt, so that one which comes too late is refused and not taken for another's.
        attempt = {"attempt_number": job["attempt_number"]}
        run = f"/jobs/{job['job_id']}"
        dc1.post(f"{run}/progress", json={"phase": "generating", **attempt}).raise_for_status()
        dc1.post(
            f"{run}/logs", json={"lines": [{"level": "info", "message": "thinking"}], **attempt}
        ).raise_for_status()
        result = {"type": "text", "response": f"You asked: {job['params']['prompt']}"}
        settled = dc1.post(f"{run}/result", json={"result": result, "duration_seconds": 1, **attempt})
        print("earned", settled.raise_for_status().json()["billing"]["provider_earned_halala"], "halala")
