"""Calls of other APIs, which go to engines that have them, and as chats to those that have not."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.access.provider_choice import ProviderChoice
from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.errors import ApiError
from dc1.domain.inference.calls import MOST_RETRIES, InferenceCall
from dc1.domain.inference.dialects.messages_answer import message_of
from dc1.domain.inference.dialects.messages_request import MessagesCall, read_counted, read_messages
from dc1.domain.inference.dialects.responses_request import ResponsesCall, read_responses
from dc1.domain.inference.dialects.responses_stream import response_of
from dc1.domain.inference.kinds import read_call
from dc1.domain.inference.usage import uncounted_tokens
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import ErrorCategory, JobStatus
from dc1.domain.providers.model_abilities import EnginePath
from dc1.services.api.apart import apart
from dc1.services.api.call import current_call
from dc1.services.api.event_stream import CONTENT_TYPE
from dc1.services.inference.answers import Dialect, streamed, whole_text
from dc1.services.inference.engine_calls import EngineCallPart, answer_of
from dc1.services.inference.engine_dialects import EngineDialect
from dc1.services.inference.event_dialects import MessagesDialect, ResponsesDialect
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import messages_pb2, responses_pb2

_BUSY = frozenset({ErrorCategory.ENGINE_BUSY, ErrorCategory.QUEUE_TIMEOUT})
T = TypeVar("T")
C = TypeVar("C", MessagesCall, ResponsesCall)


class TranslatedCalls(EngineCallPart):
    """Anthropic's messages and OpenAI's responses."""

    def CreateMessage(self, request: messages_pb2.CreateMessageRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Answer a conversation of Anthropic's Messages API."""

        def translated(asked: MessagesCall) -> AsyncGenerator[HttpBody, None]:
            return self._translated(asked.chat, MessagesDialect(asked), partial(message_of, call=asked))

        return self._said(EnginePath.MESSAGES, request.body, read_messages, translated)

    async def CountMessageTokens(
        self, request: messages_pb2.CountMessageTokensRequest, context: Any
    ) -> messages_pb2.CountMessageTokensResponse:
        """Count the tokens of a conversation that is not sent yet."""
        call = await self._asked(request.body, read_counted)
        self._plane.completions.one_served(call.model)
        return messages_pb2.CountMessageTokensResponse(input_tokens=uncounted_tokens(call.prompt_bytes))

    def CreateResponse(
        self, request: responses_pb2.CreateResponseRequest, context: Any
    ) -> AsyncGenerator[HttpBody, None]:
        """Answer a conversation of OpenAI's Responses API."""

        def translated(asked: ResponsesCall) -> AsyncGenerator[HttpBody, None]:
            return self._translated(asked.chat, ResponsesDialect(asked), partial(response_of, call=asked))

        return self._said(EnginePath.RESPONSES, request.body, read_responses, translated)

    async def _said(
        self,
        path: EnginePath,
        body: HttpBody,
        read: Callable[[bytes, int], C],
        translated: Callable[[C], AsyncGenerator[HttpBody, None]],
    ) -> AsyncGenerator[HttpBody, None]:
        """Answer a call in its own words where an engine has its path, and as a chat where none does."""
        asked, refusal = None, None
        try:
            asked = await self._asked(body, read)
        except ApiError as error:
            # An engine with that API may know what chat has no words for.
            refusal = error
        own = None if asked is None else replace(asked.chat, path=path, needs_bodies=True)
        native = await self._native(path, body) if own is None or self._is_native(own) else None
        if native is not None:
            answers = self._natively(native, asked, translated)
        elif asked is not None:
            answers = translated(asked)
        else:
            assert refusal is not None
            raise refusal
        async with aclosing(answers) as bodies:
            async for each in bodies:
                yield each

    async def _natively(
        self, call: InferenceCall, asked: C | None, translated: Callable[[C], AsyncGenerator[HttpBody, None]]
    ) -> AsyncGenerator[HttpBody, None]:
        """Answer a call in its own words; where all who have its path fail it at once, as a chat of others."""
        completion, begun = None, False
        try:
            async with self._calls.held(call) as completion, aclosing(answer_of(completion, goes_on=True)) as bodies:
                async for body in bodies:
                    begun = True
                    yield body
            return
        except ApiError as error:
            failure, chat = error, None
            if completion is not None and asked is not None and completion.is_silent:
                chat = self._left_over(completion.job, asked)
            if chat is None and not begun:
                raise
        try:
            if chat is None:
                raise failure
            async with aclosing(translated(chat)) as bodies:
                async for body in bodies:
                    yield body
        except ApiError as error:
            if not begun:
                raise
            # Behind signs of life: headers have left.
            yield HttpBody(content_type=CONTENT_TYPE, data=EngineDialect(call.path).failure(error, {}))

    def _left_over(self, job: JobRow, asked: C) -> C | None:
        """Return as a chat a call that engines failed in its own words, None where nobody else may answer it."""
        retries = MOST_RETRIES - job.retry_count - 1
        if not _may_go_elsewhere(job) or not asked.chat.routing.may_be_retried or retries < 0:
            return None
        tried = frozenset(each for each in (*job.losers, job.provider_id) if each is not None)
        chat = replace(asked.chat.allowed(ProviderChoice(ignore=tried)), retries=retries)
        allowed = chat.allowed(current_call().principal.key_limits.providers)
        return replace(asked, chat=chat) if self._plane.completions.is_served(allowed) else None

    async def _native(self, path: EnginePath, body: HttpBody) -> InferenceCall | None:
        """Return a call in its own words; None where it is none, or nobody can be asked it so."""
        try:
            call = await self._asked(body, partial(read_call, path))
        except ApiError:
            return None
        return call if self._is_native(call) else None

    def _is_native(self, call: InferenceCall) -> bool:
        limits = current_call().principal.key_limits
        return self._plane.completions.serves_natively(call.allowed(limits.providers))

    async def _asked(self, body: HttpBody, read: Callable[[bytes, int], T]) -> T:
        sent, most = body.data, self._plane.config.completion_max_bytes
        return await apart(len(sent), partial(read, sent, most))

    async def _translated(
        self, call: InferenceCall, dialect: Dialect, whole_of: Callable[[JsonObject], JsonObject]
    ) -> AsyncGenerator[HttpBody, None]:
        async with self._calls.held(call) as completion:
            if call.stream:
                async with aclosing(streamed(completion, dialect)) as bodies:
                    async for body in bodies:
                        yield body
            else:
                answer = json.loads(await whole_text(completion))
                yield HttpBody(content_type="application/json", data=compact(whole_of(answer)).encode())


def _may_go_elsewhere(job: JobRow) -> bool:
    """Tell whether a call ended as another provider might not end it, with time left for that one."""
    if job.status is not JobStatus.FAILED or job.error_category is ErrorCategory.TIMEOUT:
        return False
    return job.fault is Fault.PROVIDER or job.error_category in _BUSY
