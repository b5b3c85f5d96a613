"""A daemon that speaks HTTP only and knows nothing but `task_spec`, as those that the contract's section 8 tells of."""

import hashlib
import hmac
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dc1.testing.people import answered
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json, Rest

STOPS_AFTER_SECONDS = 900
"""When it stops a run, whatever that was allowed."""

FIGURES: Json = {"gflops": 51234.5, "elapsed_seconds": 1.9, "matrix_size": 4096, "iterations": 5, "gpu_name": "made up"}
"""What its benchmark finds."""

_PAUSES_SECONDS = (10, 30, 90)
_LONGEST_OUTPUT = 1024 * 1024
_SERVES_AT = {"port": 8100, "provider_ip": "93.184.216.34"}
_JOB_FOLDER = "/dc1/job/"


@dataclass(frozen=True, slots=True)
class _Ran:
    """How a run ended, in the words of the report that the daemon makes of it."""

    success: bool
    result: Any = None
    error: str | None = None
    restarts: int = 0


class ScriptDaemon(PollDaemon):
    """A daemon that runs scripts, here as processes in place of containers.

    Attributes:
        packages: Python packages that every image has.
    """

    def __init__(self, rest: Rest, account_id: int, key: str, packages: Path | None = None) -> None:
        super().__init__(rest, account_id, key)
        self.packages = packages
        self._known: set[str] = set()
        secret = hashlib.sha256(key.encode()).digest()
        self._secret = hmac.digest(secret, b"dc1-task-spec", "sha256")

    @classmethod
    def of(cls, daemon: PollDaemon, packages: Path | None = None) -> "ScriptDaemon":
        """Return such a daemon of a provider's account, whose machine was just heard."""
        scripted = cls(daemon.rest, daemon.id, daemon.key, packages)
        scripted.heartbeat({name: value for name, value in REPORT.items() if name != "job_types"})
        return scripted

    def take(self) -> Json | None:
        """Poll once; None without work, and for a job that it saw before, which it drops without a word."""
        path = f"/providers/{self.key}/jobs"
        bearer = {"authorization": f"Bearer {self.key}"}
        job: Json | None = answered(self.rest.get(path, headers=bearer))["job"]
        if job is None or job["job_id"] in self._known:
            return None
        self._known.add(job["job_id"])
        return job

    def work(self) -> Json | None:
        """Take a job, run it and report; return the job as it was handed out, None without one."""
        job = self.take()
        if job is not None:
            ran = self._run(job)
            report = {"success": ran.success, "result": ran.result, "error": ran.error, "restart_count": ran.restarts}
            self.post(
                "/providers/job-result",
                {"job_id": job["job_id"], "attempt_number": job["attempt_number"], "transient": False, **report},
            )
        return job

    def _run(self, job: Json) -> _Ran:
        task = self._task(job)
        if task is None:
            return _Ran(False, error="HMAC verification failed")
        if job["job_type"] == "vllm_serve":
            return self._serve(job, task)
        script = task.get("script")
        if job["job_type"] == "benchmark" or not isinstance(script, str) or len(script) <= 10:
            return _Ran(True, dict(FIGURES))
        return self._run_again_and_again(job, script)

    def _task(self, job: Json) -> Json | None:
        """Return what it has to do, None where that does not come from the market."""
        text = job["task_spec"]
        if text is None:
            return {}
        code = hmac.new(self._secret, text.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(code, job["task_spec_hmac"] or ""):
            return None
        task: Json = json.loads(text)
        return task

    def _serve(self, job: Json, task: Json) -> _Ran:
        answered(self.post(f"/jobs/{job['job_id']}/endpoint-ready", _SERVES_AT))
        return _Ran(True, {"endpoint_url": "http://93.184.216.34:8100/v1", "model": task["model"], "port": 8100})

    def _run_again_and_again(self, job: Json, script: str) -> _Ran:
        spec = job["container_spec"]
        if "/" not in spec["image"]:
            return _Ran(False, error=f"Rejected container image '{spec['image']}'")
        with TemporaryDirectory(prefix="dc1-job-") as folder:
            (Path(folder) / "task.py").write_text(script, encoding="utf-8")
            command = (spec.get("job_cmd") or "python /dc1/job/task.py").replace(_JOB_FOLDER, f"{folder}/")
            failure = ""
            for restarts in range(len(_PAUSES_SECONDS) + 1):
                status, output = self._run_once(command, folder)
                lines = [line for line in output.splitlines() if line]
                if lines:
                    self.logs(job["job_id"], lines[-100:])
                if status == 0:
                    return _Ran(True, f"{output}\njob_id={job['job_id']} exit_code=0\n", restarts=restarts)
                if status is None:
                    return _Ran(False, error=f"Job timed out after {STOPS_AFTER_SECONDS}s", restarts=restarts)
                tail = "\n".join(lines[-20:])[:500]
                failure = f"Exit code {status} (status=exited): {tail}"
        # It pauses between them; a market's clock in a test stands still meanwhile.
        return _Ran(False, error=failure, restarts=len(_PAUSES_SECONDS))

    def _run_once(self, command: str, folder: str) -> tuple[int | None, str]:
        here = Path(sys.executable).parent
        env = {"PATH": f"{here}:/usr/bin:/bin", "PYTHONPATH": str(self.packages or folder), "HOME": folder}
        try:
            ran = subprocess.run(
                ["/bin/sh", "-c", command],
                env=env,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=STOPS_AFTER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, ""
        return ran.returncode, ran.stdout.decode(errors="replace")[:_LONGEST_OUTPUT]
