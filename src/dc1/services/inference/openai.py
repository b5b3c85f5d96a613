"""OpenAIService: inference for programs that speak the OpenAI chat API."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.control.fleet.model_offers import offer_of_model
from dc1.domain.base.json_types import compact
from dc1.domain.inference.chat import ChatCall, read_chat
from dc1.domain.jobs.states import JobType
from dc1.services.api.apart import apart
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import from_struct
from dc1.services.inference.answers import ChatDialect, streamed, whole
from dc1.services.inference.completion_stream import CompletionStream
from dc1.services.inference.held_calls import HeldCalls
from dc1.services.inference.models import model_figures, speed_fields
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import openai_service_pb2 as pb
from dcp.v1.openai_service_pb2_grpc import OpenAIServiceServicer

_OWNER = "dc1"


def _sent(request: pb.CreateChatCompletionRequest | pb.CompleteChatRequest) -> bytes:
    return request.body.data if request.HasField("body") else compact(from_struct(request.completion)).encode()


class OpenAIServicer(ServicerPart, OpenAIServiceServicer):
    """Models and chat completions."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._calls = HeldCalls(self._plane)

    async def ListServedModels(self, request: pb.ListServedModelsRequest, context: Any) -> pb.ListServedModelsResponse:
        """List the models that can be called now."""
        served = self._plane.completions.served()
        return pb.ListServedModelsResponse(object="list", data=[self._model(*one) for one in served.items()])

    async def GetServedModel(self, request: pb.GetServedModelRequest, context: Any) -> pb.ServedModel:
        """Show a model that can be called now."""
        return self._model(*self._plane.completions.one_served(request.model))

    def _model(self, name: str, first_ms: int) -> pb.ServedModel:
        prices = self._plane.catalog.token_prices(name)
        return pb.ServedModel(
            id=name,
            object="model",
            # In seconds, as OpenAI counts; everything else here counts milliseconds.
            created=first_ms // 1000,
            owned_by=_OWNER,
            pricing=pb.TokenPricing(
                halala_per_1m_tokens=prices.prompt_halala,
                halala_per_1m_completion_tokens=prices.completion_halala,
                halala_per_1m_cached_tokens=prices.cached_halala,
            ),
            **speed_fields(self._plane.dispatcher.speeds.of_model(name)),
            **model_figures(
                offer_of_model(self._plane.fleet, name, self._plane.clock.now_ms()),
                self._plane.catalog.rate(JobType.LLM_INFERENCE),
            ),
        )

    async def CreateChatCompletion(
        self, request: pb.CreateChatCompletionRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        """Answer a conversation, as one JSON object or as events."""
        call = await self._read(request)
        async with self._calls.held(call) as completion, aclosing(_answer(completion)) as bodies:
            async for body in bodies:
                yield body

    async def CompleteChat(self, request: pb.CompleteChatRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Answer a conversation, and say what it cost."""
        call = await self._read(request)
        async with self._calls.held(call) as completion, aclosing(_answer(completion)) as bodies:
            async for body in bodies:
                yield body if call.stream else _priced(body, completion.job)

    async def _read(self, request: pb.CreateChatCompletionRequest | pb.CompleteChatRequest) -> ChatCall:
        sent, most = _sent(request), self._plane.config.completion_max_bytes
        return await apart(len(sent), partial(read_chat, sent, most))


def _answer(completion: CompletionStream) -> AsyncGenerator[HttpBody, None]:
    return streamed(completion, ChatDialect()) if completion.call.stream else whole(completion)


def _priced(body: HttpBody, job: JobRow) -> HttpBody:
    # A charge is an integer, and clients that read it divide it: where nothing was charged it is 0 and not absent.
    answer = json.loads(body.data) | {"cost_halala": job.actual_cost_halala or 0}
    return HttpBody(content_type=body.content_type, data=compact(answer).encode())
