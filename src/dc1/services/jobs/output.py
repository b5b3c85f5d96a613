"""A job's output: as JSON, or as the bytes of an image."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import iso, time_text
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.base.numeric import plain
from dc1.domain.errors.jobs import DOCUMENTS_ERASED
from dc1.domain.jobs.results import ResultType, image_bytes, response_text, result_type, stored_image_format
from dc1.domain.jobs.states import TERMINAL, JobStatus
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.api.apart import apart
from dc1.services.api.call import current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.jobs.access import provider_of_job, readable
from dc1.services.jobs.messages import elapsed_sec, shown_provider_id
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow, JobSpec

_JSON = "application/json"
# An answer with a status and not a refusal: these bodies carry the job, which an error has no fields for (contract
# 3.3). 410 tells clients that wait for a 200 to stop.
_GONE = 410
_STATUS_CODES = {JobStatus.COMPLETED: 200, JobStatus.FAILED: _GONE, JobStatus.CANCELLED: _GONE}
_NOT_FINISHED = 202
# What clients format or calculate with. A daemon's program writes the result, and may put anything under these names.
_PART_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("type", "response", "output", "model"), str),
    "tokens_generated": int,
    **dict.fromkeys(("tokens_per_second", "gen_time_s", "total_time_s"), (int, float)),
}
_MESSAGES = {
    JobStatus.QUEUED: "The job waits for a provider.",
    JobStatus.PENDING: "The job is about to start.",
    JobStatus.RUNNING: "The job is running.",
    JobStatus.COMPLETED: "The job completed.",
    JobStatus.FAILED: "The job failed.",
    JobStatus.CANCELLED: "The job was cancelled.",
}


@dataclass(frozen=True, slots=True)
class JobWithOutput:
    """A job, its documents and its result."""

    job: JobRow
    spec: JobSpec
    result: Any
    result_characters: int


class OutputCalls(ServicerPart):
    """Calls that hand outputs out, of which all share one budget."""

    def __init__(self, parts: Parts) -> None:
        """Take the budget that all of them have."""
        super().__init__(parts)
        self._budget = parts.output_budget

    async def _readable_output(self, reference: str) -> JobWithOutput:
        """Return a job that the caller may read, with its output; refuses as `readable` and `OutputBudget.spend` do."""
        principal = current_call().principal

        def with_output(conn: Connection, *, reads_large: bool) -> JobWithOutput:
            job = readable(conn, reference, principal)
            size = jobs.result_characters(conn, job.id)
            is_read = reads_large or not self._budget.is_large(size)
            return JobWithOutput(job, jobs.spec(conn, job.id), jobs.result(conn, job.id) if is_read else None, size)

        found = await self._plane.db.read(partial(with_output, reads_large=False))
        if self._budget.is_large(found.result_characters):
            # Before any of it is in memory.
            self._budget.spend(principal.account, found.result_characters)
            current_call().output_is_counted = True
            found = await self._plane.db.read(partial(with_output, reads_large=True))
        return found


async def output_body(plane: ControlPlane, found: JobWithOutput, accept: str = _JSON) -> HttpBody:
    """Return the output in the form that `accept` prefers, an image as its bytes unless JSON is named.

    The answer's status becomes 202 while the job is not finished, and 410 when it failed or was cancelled or its result
    is not kept any more.
    """
    status = found.job.status
    # The contract's way round (3.3): `*/*` and no header at all get the bytes.
    if status is JobStatus.COMPLETED and _JSON not in accept:
        image = stored_image(found.result)
        if image is not None:
            return image
    is_erased = found.job.documents_erased_at_ms is not None
    current_call().http_status = _GONE if is_erased else _STATUS_CODES.get(status, _NOT_FINISHED)
    # The fleet belongs to the loop, and so this is asked here.
    fields = common_fields(found.job, provider_of_job(plane, found.job), plane.clock.now_ms())
    return await apart(found.result_characters, lambda: _written(found, fields))


def _written(found: JobWithOutput, fields: JsonObject) -> HttpBody:
    status = found.job.status
    if status is JobStatus.COMPLETED:
        fields |= _completed(found, fields)
    elif status in TERMINAL:
        refunded = found.job.refunded_halala or 0
        fields |= {
            "refunded": refunded > 0,
            "refunded_halala": refunded,
            "error_category": found.job.error_category,
            "fault": found.job.fault,
        }
    if found.job.documents_erased_at_ms is not None:
        fields |= {
            "error": fields["error"] or DOCUMENTS_ERASED,
            "documents_erased_at": iso(found.job.documents_erased_at_ms),
        }
    # Written here and not by the transcoder: the parts of a result have names that no message can list.
    return HttpBody(content_type=_JSON, data=compact(fields).encode())


def stored_image(result: JsonValue, wanted: str | None = None) -> HttpBody | None:
    """Return the image in a result, or None when there is none, or none in the format `wanted`."""
    if result_type(result) is not ResultType.IMAGE or not isinstance(result, dict):
        return None
    stored = stored_image_format(result)
    data = image_bytes(result) if wanted in (None, stored) else None
    return None if data is None else HttpBody(content_type=f"image/{stored}", data=data)


def common_fields(job: JobRow, provider: Provider | None, now_ms: int) -> JsonObject:
    """Return what the output of every job begins with, whatever its status."""
    status = job.status
    # A 410 has an `error` that is text (contract 8), and nobody gives one for a cancelled job.
    error = job.error or (_MESSAGES[status] if status is JobStatus.CANCELLED else None)
    return {
        "job_id": job.job_id,
        "status": job.status,
        "job_type": job.job_type,
        "provider_id": shown_provider_id(job),
        "provider_name": None if provider is None else provider.name,
        "duration_minutes": None if job.duration_minutes is None else plain(job.duration_minutes),
        "cost_halala": job.cost_halala,
        "submitted_at": iso(job.submitted_at_ms),
        "started_at": time_text(job.started_at_ms),
        "completed_at": time_text(job.completed_at_ms),
        # A number before the start too: clients format it (contract 8).
        "execution_time_sec": elapsed_sec(job, now_ms) or 0,
        "progress_phase": job.progress_phase,
        "progress_updated_at": time_text(job.progress_updated_at_ms),
        "timeout_at": time_text(job.timeout_at_ms),
        "message": _MESSAGES.get(status, f"Job is {status}"),
        "error": error,
        "result": None,
        "result_type": None,
    }


def _completed(found: JobWithOutput, common: JsonObject) -> JsonObject:
    """Return what a completed job adds: the result, and its parts at the top level where they take no other's place."""
    result = found.result
    fields: JsonObject = {"result": result, "billing": output_billing(found.job)}
    if result is None:
        return fields
    kind = result_type(result)
    fields["result_type"] = type_name(kind)
    if isinstance(result, dict):
        # A result may name its own `status` or `cost_halala`. The last five are not in this answer, and must not be let
        # in by a daemon.
        reserved = {*common, *fields, "refunded", "refunded_halala", "error_category", "fault", "documents_erased_at"}
        fields |= {name: value for name, value in _readable(result).items() if name not in reserved}
    if kind is ResultType.TEXT:
        fields |= _text(found, result)
    elif kind is ResultType.IMAGE:
        data = image_bytes(result)
        fields |= {"type": "image", "format": stored_image_format(result), "image_bytes": len(data or b"")}
    return fields


def output_billing(job: JobRow) -> JsonObject:
    """Return what a settled job was billed at."""
    charged = job.actual_cost_halala or 0
    return {"actual_cost_halala": charged, "actual_cost_sar": halala_to_sar(charged)}


def _readable(result: JsonObject) -> JsonObject:
    """Return the parts of a result that are what clients expect under their names; a daemon may send anything."""
    return {
        name: value
        for name, value in result.items()
        # Without bools, which are ints to Python.
        if name not in _PART_TYPES or (isinstance(value, _PART_TYPES[name]) and not isinstance(value, bool))
    }


def type_name(kind: ResultType) -> str:
    """Return what clients know a kind of result as."""
    return "json" if kind is ResultType.OTHER else kind.value


def _text(found: JobWithOutput, result: JsonValue) -> JsonObject:
    text = response_text(result)
    parts = _readable(result) if isinstance(result, dict) else {}
    prompt: JsonValue = (found.spec.said or {}).get("prompt")
    return {
        "type": "text",
        "prompt": parts.get("prompt", prompt),
        "response": text,
        "output": text,
        "model": parts.get("model", found.job.model),
        "tokens_generated": parts.get("tokens_generated", found.job.completion_tokens or 0),
        "tokens_per_second": parts.get("tokens_per_second", 0),
        "gen_time_s": parts.get("gen_time_s", 0),
        "total_time_s": parts.get("total_time_s", 0),
        "device": parts.get("device", ""),
    }
