"""Calls of other APIs that are answered as chat."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.dialects.messages_answer import message_of
from dc1.domain.inference.dialects.messages_request import read_counted, read_messages
from dc1.domain.inference.dialects.responses_request import read_responses
from dc1.domain.inference.dialects.responses_stream import response_of
from dc1.domain.inference.usage import uncounted_tokens
from dc1.services.api.apart import apart
from dc1.services.inference.answers import Dialect, streamed, whole_text
from dc1.services.inference.event_dialects import MessagesDialect, ResponsesDialect
from dc1.services.inference.held_calls import HeldCallPart
from dcp.v1 import messages_pb2, responses_pb2

T = TypeVar("T")


class TranslatedCalls(HeldCallPart):
    """Anthropic's messages and OpenAI's responses."""

    async def CreateMessage(self, request: messages_pb2.CreateMessageRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Answer a conversation of Anthropic's Messages API."""
        asked = await self._asked(request.body, read_messages)
        answers = self._translated(asked.chat, MessagesDialect(asked), partial(message_of, call=asked))
        async with aclosing(answers) as bodies:
            async for body in bodies:
                yield body

    async def CountMessageTokens(
        self, request: messages_pb2.CountMessageTokensRequest, context: Any
    ) -> messages_pb2.CountMessageTokensResponse:
        """Count the tokens of a conversation that is not sent yet."""
        call = await self._asked(request.body, read_counted)
        self._plane.completions.one_served(call.model)
        return messages_pb2.CountMessageTokensResponse(input_tokens=uncounted_tokens(call.prompt_bytes))

    async def CreateResponse(
        self, request: responses_pb2.CreateResponseRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        """Answer a conversation of OpenAI's Responses API."""
        asked = await self._asked(request.body, read_responses)
        answers = self._translated(asked.chat, ResponsesDialect(asked), partial(response_of, call=asked))
        async with aclosing(answers) as bodies:
            async for body in bodies:
                yield body

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
