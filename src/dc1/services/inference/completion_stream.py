"""One /v1 call from its offer to its end: what the run says, as it says it, and the answer made of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody

from dc1.control.control_plane import ControlPlane
from dc1.control.scheduling.job_feed import JobUpdate, Lagged, StateChanged, TokenChunk
from dc1.domain import errors
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.errors import ApiError, openai_envelope
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.inference.usage import usage_details
from dc1.domain.jobs.results import reasoning_text, refusal_text, response_text, tool_calls
from dc1.domain.jobs.states import ErrorCategory, JobStatus
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import CONTENT_TYPE, HEADERS, KEEP_ALIVE, KEEP_ALIVE_SECONDS, RETRY
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow

_DONE = b"data: [DONE]\n\n"

_MOST_TOLD = 512 * 1024
"""Characters of an answer that are told as they come, many times what 8,192 tokens are.

A daemon may say any number, and what is told is kept until the end, to be compared with the result, which has the rest.
"""


class CompletionStream:
    """`job` is as it was last read, and `result` what a completed run left."""

    def __init__(self, plane: ControlPlane, job: JobRow) -> None:
        self._plane = plane
        # Pieces, for a text that grows by a token a thousand times a second would be copied each time.
        self._told: list[str] = []
        self._length = 0
        self._is_behind = False
        self.job = job
        self.result: JsonValue = None

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yield text as it comes, an empty one after 15 s of silence, until the run has completed.

        A call is refused when its run did not complete, or when its text so far is not how the result begins.
        """
        async with aclosing(self._live()) as live:
            async for piece in live:
                yield piece
        rest = self._rest()
        if rest:
            # All of it where nothing came live: a daemon need not send tokens, and they are not stored anywhere to be
            # read again.
            yield rest

    async def text(self) -> str:
        """Wait until the run has completed, and return the whole text.

        A call whose run did not is refused.
        """
        async with aclosing(self._live()) as live:
            async for _ in live:
                pass
        return self._whole()

    async def _live(self) -> AsyncGenerator[str, None]:
        # Subscribed before the job is read, or an end in between would be waited for until the time-out.
        with self._plane.job_feed.subscribe(self.job.id, (TokenChunk,), from_start=True) as subscription:
            while not await self._has_ended():
                is_news = False
                while not is_news:
                    batch = await subscription.next(KEEP_ALIVE_SECONDS)
                    text = self._take(batch)
                    if text or not batch:
                        yield text
                    # After a silence look again: a notice that was missed must not hold the caller for ever.
                    is_news = not batch or any(isinstance(update, StateChanged) for update in batch)
        if self.job.status != JobStatus.COMPLETED:
            raise _refusal(self.job)

    async def _has_ended(self) -> bool:
        # In one snapshot: an end that is seen has its result with it.
        def with_result(conn: Connection) -> tuple[JobRow, JsonValue]:
            job = jobs.known(conn, self.job.id)
            return job, jobs.result(conn, job.id) if job.is_terminal else None

        self.job, self.result = await self._plane.db.read(with_result)
        return self.job.is_terminal

    def _take(self, batch: Sequence[JobUpdate]) -> str:
        """Return what is new in a batch; once text is missing, what follows waits for the result."""
        known = len(self._told)
        for update in batch:
            if isinstance(update, Lagged):
                self._is_behind = True
            elif isinstance(update, TokenChunk):
                # Less than 0 for a repetition: `[-missing:]` then skips what is known, and takes everything at 0.
                missing = 0 if update.offset is None else update.offset - self._length
                new = update.text[-missing:]
                self._is_behind = self._is_behind or missing > 0 or self._length + len(new) > _MOST_TOLD
                if not self._is_behind and new:
                    self._told.append(new)
                    self._length += len(new)
        return "".join(self._told[known:])

    def _rest(self) -> str:
        """Return what of the result was not said yet."""
        whole = self._whole()
        # What was said cannot be taken back, so an answer that goes on otherwise is an error and not a correction.
        told = "".join(self._told)
        if not whole.startswith(told):
            raise errors.provider_unavailable("Part of the answer was lost on its way")
        return whole.removeprefix(told)

    def _whole(self) -> str:
        # A result without text leaves what was said piece by piece.
        return response_text(self.result) or "".join(self._told)


def _refusal(job: JobRow) -> ApiError:
    if job.error_category == ErrorCategory.TIMEOUT:
        return errors.completion_timeout()
    if job.error_category in (ErrorCategory.INVALID_PARAMS, ErrorCategory.ENGINE_BUSY) and job.error:
        # Of the caller, or of how much is asked at once: one that took it for the provider's failure would repeat the
        # call instead of changing it or waiting.
        return errors.completion_refused(job.error, EngineRefusal.stored(job.engine_refusal))
    if job.error_category == ErrorCategory.QUEUE_TIMEOUT:
        # The provider that had it failed it, and no other was free in time.
        return errors.no_capacity_available(job.model or "")
    if job.error_category == ErrorCategory.SERVER_STOP:
        # Not of the provider: the sentence that says who stopped is all there is to say.
        return errors.provider_unavailable(job.error or "The server stopped while the call ran")
    if job.status == JobStatus.CANCELLED:
        return errors.provider_unavailable("The call was cancelled")
    return errors.provider_unavailable(f"The provider could not answer: {job.error}")


async def whole(completion: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    """Yield one chat.completion once the run has completed."""
    text = await completion.text()
    calls = tool_calls(completion.result)
    # Bytes and not a message, here and below: a method answers with one type, and a chunk of a stream can only be a
    # body.
    message: JsonObject = {"role": "assistant", "content": text}
    if calls:
        # As the OpenAI API has it: `content` is null, not empty, in a turn that only calls tools.
        message |= {"content": text or None, "tool_calls": [*calls]}
    if reasoning := reasoning_text(completion.result):
        message["reasoning_content"] = reasoning
    if refusal := refusal_text(completion.result):
        message["refusal"] = refusal
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": _finish_reason(completion.result)}
    if logprobs := _object(completion.result, "logprobs"):
        choice["logprobs"] = logprobs
    body = _head(completion.job, "chat.completion") | {"choices": [choice]} | _end(completion)
    yield HttpBody(content_type="application/json", data=compact(body).encode())


async def streamed(completion: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    """Yield chat.completion.chunk events; what fails before the first one is raised, what fails later is an event."""
    current_call().headers |= HEADERS
    begun = False
    try:
        async with aclosing(completion.pieces()) as pieces:
            async for text in pieces:
                if not begun:
                    begun = True
                    yield _begin(completion.job)
                yield _frames(_delta(completion.job, {"content": text})) if text else _body(KEEP_ALIVE)
    except ApiError as error:
        # Headers have not left, so this is an ordinary error with its own status (contract 6.1).
        if not begun:
            raise
        yield _frames(openai_envelope(error))
        return
    if not begun:
        yield _begin(completion.job)
    if reasoning := reasoning_text(completion.result):
        yield _frames(_delta(completion.job, {"reasoning_content": reasoning}))
    if refusal := refusal_text(completion.result):
        yield _frames(_delta(completion.job, {"refusal": refusal}))
    if logprobs := _object(completion.result, "logprobs"):
        yield _frames(_delta(completion.job, {}, logprobs=logprobs))
    calls = tool_calls(completion.result)
    if calls:
        yield _frames(_delta(completion.job, {"tool_calls": [call | {"index": at} for at, call in enumerate(calls)]}))
    last = _delta(completion.job, {}, _finish_reason(completion.result)) | _end(completion)
    yield _body(_event(last) + _DONE)


def _begin(job: JobRow) -> HttpBody:
    # Not an event of its own: clients read every event as a chunk.
    return _body(RETRY + _event(_delta(job, {"role": "assistant", "content": ""})))


def _delta(job: JobRow, delta: JsonObject, finish_reason: JsonValue = None, **more: JsonValue) -> JsonObject:
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason, **more}
    return _head(job, "chat.completion.chunk") | {"choices": [choice]}


def _frames(data: JsonObject) -> HttpBody:
    return _body(_event(data))


def _event(data: JsonObject) -> bytes:
    return f"data: {compact(data)}\n\n".encode()


def _body(data: bytes) -> HttpBody:
    return HttpBody(content_type=CONTENT_TYPE, data=data)


def _head(job: JobRow, kind: str) -> JsonObject:
    return {"id": job.job_id, "object": kind, "created": job.submitted_at_ms // 1000, "model": job.model}


def _end(completion: CompletionStream) -> JsonObject:
    """Return what is told once the whole is known: the usage, and the engine's fingerprint if it has one."""
    job, result = completion.job, completion.result
    prompt, made = job.prompt_tokens or 0, job.completion_tokens or 0
    usage: JsonObject = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
    fingerprint = result.get("system_fingerprint") if isinstance(result, dict) else None
    return {
        "usage": usage | usage_details(result, prompt, made),
        **({"system_fingerprint": fingerprint} if isinstance(fingerprint, str) and fingerprint else {}),
    }


def _object(result: JsonValue, name: str) -> JsonObject:
    value = result.get(name) if isinstance(result, dict) else None
    return value if isinstance(value, dict) else {}


def _finish_reason(result: JsonValue) -> str:
    reason = result.get("finish_reason") if isinstance(result, dict) else None
    return reason if isinstance(reason, str) and reason else "stop"
