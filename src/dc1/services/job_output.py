"""A job's output: as JSON, or as the bytes of an image."""

import json
from dataclasses import dataclass
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.clock import iso
from dc1.domain.jobs import JobStatus
from dc1.domain.json_types import JsonObject, JsonValue
from dc1.domain.money import halala_to_sar
from dc1.domain.numeric import plain
from dc1.domain.results import ResultType, image_bytes, response_text, result_type, stored_image_format
from dc1.services.job_messages import elapsed_sec
from dc1.storage.job_rows import JobRow, JobSpec

_JSON = "application/json"
_STATUS_CODES = {JobStatus.COMPLETED: 200, JobStatus.FAILED: 410, JobStatus.CANCELLED: 410}
_NOT_FINISHED = 202
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


@dataclass(frozen=True, slots=True)
class OutputAnswer:
    """An HTTP status and body."""

    status: int
    body: HttpBody


def output_answer(found: JobWithOutput, provider_name: str | None, now_ms: int, accept: str) -> OutputAnswer:
    """Return the output in the form that `accept` prefers: an image as its bytes unless JSON is named."""
    status = JobStatus(found.job.status)
    if status is JobStatus.COMPLETED and result_type(found.result) is ResultType.IMAGE and _JSON not in accept:
        data = image_bytes(found.result)
        if data is not None:
            media_type = f"image/{stored_image_format(found.result)}"
            return OutputAnswer(200, HttpBody(content_type=media_type, data=data))
    fields = _common(found.job, provider_name, now_ms)
    if status is JobStatus.COMPLETED:
        fields |= _completed(found)
    elif status in (JobStatus.FAILED, JobStatus.CANCELLED):
        refunded = found.job.refunded_halala or 0
        fields |= {"refunded": refunded > 0, "refunded_halala": refunded}
    data = json.dumps(fields, ensure_ascii=False).encode()
    return OutputAnswer(_STATUS_CODES.get(status, _NOT_FINISHED), HttpBody(content_type=_JSON, data=data))


def _common(job: JobRow, provider_name: str | None, now_ms: int) -> JsonObject:
    status = JobStatus(job.status)
    error = job.error or (_MESSAGES[status] if status is JobStatus.CANCELLED else None)
    return {
        "job_id": job.job_id,
        "status": job.status,
        "job_type": job.job_type,
        "provider_id": job.provider_id,
        "provider_name": provider_name,
        "duration_minutes": None if job.duration_minutes is None else plain(job.duration_minutes),
        "cost_halala": job.cost_halala,
        "submitted_at": iso(job.submitted_at_ms),
        "started_at": _time(job.started_at_ms),
        "completed_at": _time(job.completed_at_ms),
        "execution_time_sec": elapsed_sec(job, now_ms) or 0,
        "progress_phase": job.progress_phase,
        "progress_updated_at": _time(job.progress_updated_at_ms),
        "timeout_at": _time(job.timeout_at_ms),
        "message": _MESSAGES[status],
        "error": error,
        "result": None,
        "result_type": None,
    }


def _completed(found: JobWithOutput) -> JsonObject:
    """Return what a completed job adds: the result, and for text and images its parts at the top level."""
    job, result = found.job, found.result
    charged = job.actual_cost_halala or 0
    fields: JsonObject = {
        "result": result,
        "billing": {"actual_cost_halala": charged, "actual_cost_sar": halala_to_sar(charged)},
    }
    if result is None:
        return fields
    kind = result_type(result)
    fields["result_type"] = "json" if kind is ResultType.OTHER else kind.value
    if isinstance(result, dict):
        reserved = {*fields, "job_id", "status", "error", "message"}
        fields |= {name: value for name, value in result.items() if name not in reserved}
    if kind is ResultType.TEXT:
        fields |= _text(found, result)
    elif kind is ResultType.IMAGE:
        data = image_bytes(result)
        fields |= {"type": "image", "format": stored_image_format(result), "image_bytes": len(data or b"")}
    return fields


def _text(found: JobWithOutput, result: JsonValue) -> JsonObject:
    text = response_text(result)
    parts = result if isinstance(result, dict) else {}
    prompt: JsonValue = (found.spec.params or {}).get("prompt")
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


def _time(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
