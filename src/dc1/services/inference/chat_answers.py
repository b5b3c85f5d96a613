"""Answers to /v1 calls, whole or in chunks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.errors import ApiError, openai_envelope
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import CONTENT_TYPE, HEADERS, KEEP_ALIVE, RETRY
from dc1.services.inference.completion_stream import CompletionStream
from dc1.storage.jobs.job_records import JobRow

_DONE = b"data: [DONE]\n\n"


async def whole(conversation: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    """Yield one chat.completion once the run has completed."""
    text = await conversation.text()
    calls = _tool_calls(conversation.result)
    message: JsonObject = {"role": "assistant", "content": text}
    if calls:
        message |= {"content": text or None, "tool_calls": [*calls]}
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": _finish_reason(conversation.result)}
    body = _head(conversation.job, "chat.completion") | {"choices": [choice], "usage": _usage(conversation.job)}
    yield HttpBody(content_type="application/json", data=compact(body).encode())


async def streamed(conversation: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    """Yield chat.completion.chunk events; what fails before the first one is raised, what fails later is an event."""
    current_call().headers |= HEADERS
    begun = False
    try:
        async with aclosing(conversation.pieces()) as pieces:
            async for text in pieces:
                if not begun:
                    begun = True
                    yield _begin(conversation.job)
                yield _frames(_delta(conversation.job, {"content": text})) if text else _body(KEEP_ALIVE)
    except ApiError as error:
        if not begun:
            raise
        yield _frames(openai_envelope(error))
        return
    if not begun:
        yield _begin(conversation.job)
    calls = _tool_calls(conversation.result)
    if calls:
        yield _frames(_delta(conversation.job, {"tool_calls": [call | {"index": at} for at, call in enumerate(calls)]}))
    last = _delta(conversation.job, {}, _finish_reason(conversation.result)) | {"usage": _usage(conversation.job)}
    yield _body(_event(last) + _DONE)


def _begin(job: JobRow) -> HttpBody:
    # Not an event of its own: clients read every event as a chunk.
    return _body(RETRY + _event(_delta(job, {"role": "assistant", "content": ""})))


def _delta(job: JobRow, delta: JsonObject, finish_reason: JsonValue = None) -> JsonObject:
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _head(job, "chat.completion.chunk") | {"choices": [choice]}


def _frames(data: JsonObject) -> HttpBody:
    return _body(_event(data))


def _event(data: JsonObject) -> bytes:
    return f"data: {compact(data)}\n\n".encode()


def _body(data: bytes) -> HttpBody:
    return HttpBody(content_type=CONTENT_TYPE, data=data)


def _head(job: JobRow, kind: str) -> JsonObject:
    return {"id": job.job_id, "object": kind, "created": job.submitted_at_ms // 1000, "model": job.model}


def _usage(job: JobRow) -> JsonObject:
    prompt, completion = job.prompt_tokens or 0, job.completion_tokens or 0
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _tool_calls(result: JsonValue) -> list[JsonObject]:
    calls = result.get("tool_calls") if isinstance(result, dict) else None
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _finish_reason(result: JsonValue) -> str:
    reason = result.get("finish_reason") if isinstance(result, dict) else None
    return reason if isinstance(reason, str) and reason else "stop"
