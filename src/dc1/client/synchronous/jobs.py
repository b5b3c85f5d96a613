# Made of `asynchronous/jobs.py` by `make gen`; edited there.
"""Jobs: submitted, waited for, followed and read."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dc1.client.calls import path
from dc1.client.errors import ClientError, ConnectionBrokenError, UnavailableError, WaitTimeoutError
from dc1.client.events import StreamedEvent
from dc1.client.synchronous.following import follow_job_events
from dc1.client.synchronous.paging import by_offset
from dc1.client.synchronous.transport import Transport

if TYPE_CHECKING:
    from dcp import rest_types as rest

_PATIENCE_SECONDS = 60.0
"""How long a job may not be seen by whoever did not say for how long to wait."""
_ONE_LOOK_SECONDS = 1.0
_TOO_LITTLE_SECONDS = 0.05
"""In which nothing is asked and answered any more."""
_ENDED = frozenset({"completed", "failed", "cancelled"})


class JobHandle:
    """One job.

    Attributes:
        id: its public id.
        data: the job as it was last read.
    """

    def __init__(self, transport: Transport, data: dict[str, Any]) -> None:
        self._transport = transport
        self.id: str = data["job_id"]
        self.data = data

    @property
    def status(self) -> str:
        """Where it stood when it was last read."""
        return str(self.data["status"])

    @property
    def has_ended(self) -> bool:
        """Whether nothing more can come of it."""
        return self.status in _ENDED

    def refresh(self) -> rest.JobDetail:
        """Read the job anew."""
        return self._look(math.inf)

    def _look(self, ends_at: float) -> rest.JobDetail:
        answer = self._transport.get_until(path("jobs", self.id), ends_at)
        detail: rest.JobDetail = answer.body["job"]
        self.data = {**detail}
        return detail

    def wait(self, timeout_seconds: float | None = None) -> rest.JobDetail:
        """Wait until the job has ended, and return it with its bill.

        Args:
            timeout_seconds: for how long, whatever the marketplace does meanwhile; with less than a second it is
                looked at once, which takes a second at most.

        Raises:
            WaitTimeoutError: it had not in that time, or could not be seen.
            ConnectionBrokenError: no time was given, and the marketplace could not be reached for a minute or so.
            UnavailableError: it could not answer for as long.
        """
        heard_at = time.monotonic()
        ends_at = math.inf if timeout_seconds is None else heard_at + timeout_seconds
        looks_until, pause, trouble = max(ends_at, heard_at + _ONE_LOOK_SECONDS), 0.1, ""
        while True:
            try:
                if (detail := self._look(looks_until))["status"] in _ENDED:
                    return detail
                heard_at, trouble = time.monotonic(), ""
            except (ConnectionBrokenError, UnavailableError) as error:
                # The job goes on while a server is started anew, and so does whoever waits for its hour of work.
                if timeout_seconds is None and time.monotonic() - heard_at > _PATIENCE_SECONDS:
                    raise
                trouble = f" {error}"
            left = ends_at - time.monotonic()
            if left < _TOO_LITTLE_SECONDS:
                raise WaitTimeoutError(
                    f"The job {self.id} was {self.status} after {timeout_seconds:g} s; it goes on.{trouble}"
                )
            # Halved before the end, so that what ends just before it is seen.
            time.sleep(min(pause, left / 2))
            # Quick answers are had at once, and an hour of work is not asked after ten times a second.
            pause, looks_until = min(pause * 1.5, 2.0), ends_at

    def stream(self, *, since: int = 0, tokens: bool = True) -> Iterator[StreamedEvent]:
        """Yield log lines and generated text as they come, until the job has ended."""
        return follow_job_events(self._transport, self.id, since=since, tokens=tokens)

    def output(self) -> rest.JobOutput:
        """Return what the job put out; one that failed is a GoneError, one that has not ended says so in `status`."""
        body: Any = (self._transport.get(path("jobs", self.id, "output"))).body
        output: rest.JobOutput = body
        return output

    def image(self) -> bytes:
        """Return the image that the job made.

        Raises:
            ClientError: it made none, or not yet.
        """
        output = (self._transport.get(path("jobs", self.id, "output"))).body
        if not isinstance(output.get("image_base64"), str):
            raise ClientError(f"The job {self.id} has no image; it is {output.get('status')}.")
        return base64.b64decode(output["image_base64"])

    def invoice(self) -> rest.GetJobInvoiceResponse:
        """Return how the job was billed."""
        body: Any = (self._transport.get(path("jobs", self.id, "invoice"))).body
        invoice: rest.GetJobInvoiceResponse = body
        return invoice

    def cancel(self) -> rest.CancelJobResponse:
        """Cancel the job; of one that runs, the time so far is charged."""
        body: Any = (self._transport.post(path("jobs", self.id, "cancel"))).body
        cancelled: rest.CancelJobResponse = body
        return cancelled

    def retry(self, *, idempotency_key: str | None = None) -> JobHandle:
        """Submit the job anew, which failed, and return the new one."""
        answer = self._transport.post_once(path("jobs", self.id, "retry"), idempotency_key=idempotency_key)
        return JobHandle(self._transport, answer.body["job"])


class Jobs:
    """The jobs of whose key it is."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self,
        prompt: str | None = None,
        *,
        job_type: str = "llm_inference",
        minutes: float = 1,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> JobHandle:
        """Submit a job. Sent again after a lost answer, it is one job all the same.

        Args:
            prompt: what a language model is asked.
            job_type: kind of work.
            minutes: how many are prepaid.
            idempotency_key: what makes a later call of the program the same one; made here where none is given.
            fields: what else `POST /jobs/submit` takes, under its names.

        Returns:
            The job, in `data` as it was accepted.
        """
        request = _request(prompt, job_type, minutes, fields)
        answer = self._transport.post_once("/jobs/submit", request, idempotency_key=idempotency_key)
        return JobHandle(self._transport, answer.body["job"])

    def estimate(
        self, prompt: str | None = None, *, job_type: str = "llm_inference", minutes: float = 1, **fields: Any
    ) -> rest.EstimateJobResponse:
        """Say what a job would cost and where it could run; nothing is ordered."""
        body: Any = (self._transport.post("/jobs/estimate", _request(prompt, job_type, minutes, fields))).body
        estimate: rest.EstimateJobResponse = body
        return estimate

    def get(self, job_id: str | int) -> JobHandle:
        """Return a job, by either of its ids."""
        return JobHandle(self._transport, (self._transport.get(path("jobs", job_id))).body["job"])

    def list(self, *, status: str | None = None, page_size: int = 100) -> Iterator[rest.JobSummary]:
        """Yield the jobs, newest first, reading on as far as somebody looks."""
        return by_offset(self._transport, "/jobs", "jobs", size=page_size, status=status)


def _request(prompt: str | None, job_type: str, minutes: float, fields: dict[str, Any]) -> dict[str, Any]:
    request = {"job_type": job_type, "duration_minutes": minutes, **fields}
    if prompt is not None:
        request["params"] = {**(fields.get("params") or {}), "prompt": prompt}
    return request
