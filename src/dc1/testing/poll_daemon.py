"""A provider's daemon that speaks HTTP only."""

from collections.abc import Sequence
from typing import Any

import httpx

from dc1.domain.jobs.states import JOB_TYPES
from dc1.testing.people import answered
from dc1.testing.rest import Json, Rest

MODEL = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"

# The heartbeat of contract 2.2, from which its test vectors start (section 7).
REPORT: Json = {
    "gpu_status": {
        "gpu_name": "NVIDIA GeForce RTX 4090",
        "gpu_vram_mib": 24564,
        "gpu_util_pct": 37,
        "temp_c": 61,
        "daemon_version": "3.3.0",
    },
    "cached_models": [MODEL],
    # It reads `params` and runs everything by itself, which daemons that never say so are not trusted with.
    "job_types": list(JOB_TYPES),
}


class PollDaemon:
    """The account of a provider, and the calls of a daemon that polls.

    Attributes:
        rest: what it calls the market with.
        heard: whether the daemon has sent a heartbeat.
    """

    def __init__(self, rest: Rest, account_id: int, key: str) -> None:
        self.rest = rest
        self.id = account_id
        self.key = key
        self.heard = False

    def get(self, path: str, **call: Any) -> httpx.Response:
        """Call GET with the provider's key."""
        return self.rest.get(path, key=self.key, **call)

    def post(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call POST with the provider's key."""
        return self.rest.post(path, json, key=self.key, **call)

    def patch(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call PATCH with the provider's key."""
        return self.rest.patch(path, json, key=self.key, **call)

    def delete(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call DELETE with the provider's key."""
        return self.rest.rest("DELETE", path, json=json, key=self.key, **call)

    def heartbeat(self, report: Json = REPORT) -> Json:
        """Say how the machine is; from now on a market that lets time pass repeats it."""
        # Set after the answer: a provider that is refused (403 before its approval) was not heard, and time must not
        # repeat it.
        answer = answered(self.post("/providers/heartbeat", report))
        self.heard = True
        return answer

    def account(self) -> Json:
        """Return the provider as it sees itself."""
        shown: Json = answered(self.get("/providers/me"))["provider"]
        return shown

    def earnings(self) -> Json:
        """Return what the provider has earned."""
        return answered(self.get("/providers/earnings"))

    def liveness(self) -> str:
        """Return whether the market takes the daemon to be there."""
        state: str = answered(self.rest.get(f"/providers/{self.id}/liveness"))["liveness_status"]
        return state

    def ask(self) -> Json:
        """Poll for work once, and return the answer."""
        return answered(self.get("/providers/jobs/next"))

    def next(self) -> Json:
        """Poll for work once, and return the job that is handed out."""
        answer = self.ask()
        assert answer["job"] is not None, answer["admission"]
        job: Json = answer["job"]
        return job

    def progress(self, job_id: int | str, phase: str, **more: Any) -> httpx.Response:
        """Say how far a run is."""
        return self.post(f"/jobs/{job_id}/progress", {"phase": phase, **more})

    def logs(self, job_id: int | str, lines: Sequence[str], **more: Any) -> Json:
        """Add lines to a job's log."""
        body = {"lines": [{"level": "info", "message": line} for line in lines], **more}
        return answered(self.post(f"/jobs/{job_id}/logs", body))

    def try_result(self, job_id: int | str, **outcome: Any) -> httpx.Response:
        """End a run, and return the whole answer."""
        return self.post(f"/jobs/{job_id}/result", outcome)

    def result(self, job_id: int | str, text: str = "ok", **more: Any) -> Json:
        """End a run with a text, and return how it was settled."""
        return answered(self.try_result(job_id, result={"type": "text", "response": text}, **more))
