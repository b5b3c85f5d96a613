"""The answer to a /v1 call: in one piece, or as events in the dialect that its caller speaks."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Protocol

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.errors import ApiError, openai_envelope
from dc1.domain.inference.audio import bytes_in
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.typed_answers import TYPED_PATHS, typed_usage
from dc1.domain.inference.usage import usage_details
from dc1.domain.jobs.results import reasoning_text, refusal_text, tool_calls
from dc1.domain.providers.model_abilities import EnginePath
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import CONTENT_TYPE, HEADERS, KEEP_ALIVE
from dc1.services.inference.completion_stream import CompletionStream
from dc1.storage.jobs.job_records import JobRow

_MOST_OF_BODY = 256 * 1024
"""Bytes of one message of a stream; what is more goes in several, cut anywhere."""


class Dialect(Protocol):
    """What events of an answer look like; one is made for each stream, and may remember what it said."""

    keep_alive: bytes
    """What is sent after a silence."""

    def frames(self, chunks: Sequence[str]) -> bytes:
        """Return the events of some chat.completion.chunks; there may be none to tell yet."""
        ...

    def end(self) -> bytes:
        """Return what follows the last chunk."""
        ...

    def failure(self, error: ApiError, head: JsonObject) -> bytes:
        """Return what ends an answer that failed after something was sent; `head` says whose it is."""
        ...


class ChatDialect:
    """Chunks as they are, each a `data:` frame."""

    keep_alive = KEEP_ALIVE

    def frames(self, chunks: Sequence[str]) -> bytes:
        """Return a frame for each chunk."""
        return b"".join(map(_event, chunks))

    def end(self) -> bytes:
        """Return the frame that clients wait for."""
        return b"data: [DONE]\n\n"

    def failure(self, error: ApiError, head: JsonObject) -> bytes:
        """Return a frame with the envelope of errors."""
        return _event(compact(openai_envelope(error)))


async def whole_text(completion: CompletionStream) -> str:
    """Return the JSON of the answer as a chat.completion once the run has completed."""
    await completion.completed()
    said = completion.events.whole(_names(completion.job), _usage(completion))
    if said is None:
        completion.require_text()
        said = compact(_made_whole(completion))
    return said


async def whole(completion: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    """Yield the answer in one piece once the run has completed."""
    # Bytes and not a message: a method answers with one type, and a chunk of a stream can only be a body.
    text = await whole_text(completion)
    # What is no JSON is an event whose bytes are the answer.
    in_bytes = [found for event in completion.events.held if (found := bytes_in(event.values))]
    content_type, data = in_bytes[0] if in_bytes else ("application/json", text.encode())
    yield HttpBody(content_type=content_type, data=data)


async def streamed(
    completion: CompletionStream, dialect: Dialect, *, goes_on: bool = False
) -> AsyncGenerator[HttpBody, None]:
    """Yield the answer as events; what fails before the first one is raised, what fails later is an event.

    Where somebody `goes_on`, signs of life are no such events.

    Raises:
        ApiError: It failed before the first one.
    """
    asked = current_call()
    asked.headers |= HEADERS
    begun = made = False

    def failure(error: ApiError) -> HttpBody:
        return _body(dialect.failure(error, _head(completion.job, "chat.completion.chunk")))

    def told(chunks: Sequence[str]) -> bytes:
        try:
            return dialect.frames(chunks)
        except ApiError:
            completion.is_untellable = True
            raise

    try:
        async with aclosing(completion.batches()) as batches:
            async for batch in batches:
                chunks = [chunk for piece in batch for chunk in _chunks(completion.job, piece)]
                if not made and any(piece and isinstance(piece, str) for piece in batch):
                    made, chunks = True, [_begin(completion.job), *chunks]
                frames = told(chunks) if chunks else dialect.keep_alive
                # A message costs by its number, and one may only be so large.
                for start in range(0, len(frames), _MOST_OF_BODY):
                    # Before it is said: its reader may be stopped while it is.
                    begun, asked.farewell = True, failure
                    yield _body(frames[start : start + _MOST_OF_BODY])
        # What is told at the end may be more than can be, too.
        last = told(list(_last_chunks(completion, is_made=made))) + dialect.end()
    except ApiError as error:
        # Headers have not left, so this is an ordinary error with its own status (contract 6.1).
        if not begun or (goes_on and completion.is_silent):
            raise
        yield failure(error)
        return
    yield _body(last)


def _made_whole(completion: CompletionStream) -> JsonObject:
    """Return a chat.completion made of the result, which is all that is left of what the engine said."""
    text = completion.text()
    calls = tool_calls(completion.result)
    message: JsonObject = {"role": "assistant", "content": text}
    if calls:
        # As the OpenAI API has it: `content` is null, not empty, in a turn that only calls tools.
        message |= {"content": text or None, "tool_calls": [*calls]}
    if reasoning := reasoning_text(completion.result):
        message["reasoning_content"] = reasoning
    if refusal := refusal_text(completion.result):
        message["refusal"] = refusal
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": finish_reason(completion.result)}
    if logprobs := _object(completion.result, "logprobs"):
        choice["logprobs"] = logprobs
    return _head(completion.job, "chat.completion") | {"choices": [choice]} | _end(completion)


def _chunks(job: JobRow, piece: str | AnswerEvent) -> list[str]:
    if isinstance(piece, AnswerEvent):
        return [piece.told(**_names(job))]
    return [_delta(job, {"content": piece})] if piece else []


def _last_chunks(completion: CompletionStream, *, is_made: bool) -> Iterator[str]:
    """Yield what is told once it is known what is paid: what the engine said, or what the result has but the text."""
    job, result, events = completion.job, completion.result, completion.events
    if events.is_whole and events.held:
        yield from events.last_chunks(_names(job), _usage(completion), wants_usage=completion.call.wants_usage)
        return
    if completion.call.path in TYPED_PATHS:
        # Whatever says how it ends was told or never came: nothing can be made of a result in its place.
        return
    if completion.call.path == EnginePath.COMPLETIONS:
        choice: JsonObject = {"index": 0, "text": "", "finish_reason": finish_reason(result)}
        yield compact(_head(job, "text_completion") | {"choices": [choice]} | _end(completion))
        return
    if not (is_made or events.is_used):
        yield _begin(job)
    if not events.is_used:
        yield from _extras(job, result)
    yield compact(_chunk(job, {}, finish_reason(result)) | _end(completion))


def _extras(job: JobRow, result: JsonValue) -> Iterator[str]:
    if reasoning := reasoning_text(result):
        yield _delta(job, {"reasoning_content": reasoning})
    if refusal := refusal_text(result):
        yield _delta(job, {"refusal": refusal})
    if logprobs := _object(result, "logprobs"):
        yield _delta(job, {}, logprobs=logprobs)
    calls = tool_calls(result)
    if calls:
        yield _delta(job, {"tool_calls": [call | {"index": at} for at, call in enumerate(calls)]})


def _begin(job: JobRow) -> str:
    return _delta(job, {"role": "assistant", "content": ""})


def _delta(job: JobRow, delta: JsonObject, **more: JsonValue) -> str:
    return compact(_chunk(job, delta, None, **more))


def _chunk(job: JobRow, delta: JsonObject, finish_reason: JsonValue, **more: JsonValue) -> JsonObject:
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason, **more}
    return _head(job, "chat.completion.chunk") | {"choices": [choice]}


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def _body(data: bytes) -> HttpBody:
    return HttpBody(content_type=CONTENT_TYPE, data=data)


def _names(job: JobRow) -> JsonObject:
    return {"id": job.job_id, "model": job.model}


def _head(job: JobRow, kind: str) -> JsonObject:
    return {"id": job.job_id, "object": kind, "created": job.submitted_at_ms // 1000, "model": job.model}


def _usage(completion: CompletionStream) -> JsonObject:
    """Return what is paid, with what the engine says of it."""
    job = completion.job
    prompt, made = job.prompt_tokens or 0, job.completion_tokens or 0
    typed = typed_usage(completion.call.path, prompt, made, job.cached_tokens or 0)
    if typed is not None:
        return typed
    if not completion.call.max_tokens and completion.call.path != EnginePath.COMPLETIONS:
        # What makes no tokens says nothing of any.
        return {"prompt_tokens": prompt, "total_tokens": prompt}
    usage: JsonObject = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
    return usage | usage_details(completion.result, prompt, made)


def _end(completion: CompletionStream) -> JsonObject:
    """Return what is told once the whole is known: the usage, and the engine's fingerprint if it has one."""
    result = completion.result
    fingerprint = result.get("system_fingerprint") if isinstance(result, dict) else None
    return {
        "usage": _usage(completion),
        **({"system_fingerprint": fingerprint} if isinstance(fingerprint, str) and fingerprint else {}),
    }


def _object(result: JsonValue, name: str) -> JsonObject:
    value = result.get(name) if isinstance(result, dict) else None
    return value if isinstance(value, dict) else {}


def finish_reason(result: JsonValue) -> str:
    """Return why an answer ended, in the engine's word."""
    reason = result.get("finish_reason") if isinstance(result, dict) else None
    return reason if isinstance(reason, str) and reason else "stop"
