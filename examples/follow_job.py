"""Submit a job, print what it says while it runs, then its output and its bill. Needs nothing but Python itself.

Reads DC1_URL and DC1_RENTER_KEY: `python examples/follow_job.py "Why is the sea blue?"`.
"""

import json
import os
import sys
from typing import Any
from urllib.request import Request, urlopen


def call(path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the open answer to a GET, or to a POST when there is a body."""
    headers = {"x-renter-key": os.environ["DC1_RENTER_KEY"], "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    return urlopen(Request(os.environ["DC1_URL"] + path, data, headers))


order = {"job_type": "llm_inference", "duration_minutes": 3, "params": {"prompt": sys.argv[1]}}
with call("/jobs/submit", order) as answer:
    job_id = json.load(answer)["job_id"]

# Server-sent events: lines `event: …` and `data: …`, and an empty line after each event. `end` is the last one.
with call(f"/jobs/{job_id}/logs/stream?tokens=true") as events:
    for raw in events:
        line = raw.decode().rstrip("\n")
        if line.startswith("data: "):
            told = json.loads(line.removeprefix("data: "))
            print(told.get("text") or told.get("line") or told.get("status"))

with call(f"/jobs/{job_id}/output") as answer:
    output = json.load(answer)
print(output["response"], output["billing"]["actual_cost_halala"], "halala")
