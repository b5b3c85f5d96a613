"""OpenAIService: inference for programs that speak the OpenAI chat API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.control.fleet.model_offers import offer_of_model
from dc1.domain.base.json_types import compact
from dc1.domain.errors import ApiError
from dc1.domain.errors.codes import OpenAICode
from dc1.domain.inference.chat import ChatCall, read_chat
from dc1.domain.inference.usage import BYTES_PER_TOKEN
from dc1.domain.jobs.states import JobType
from dc1.services.api.apart import apart
from dc1.services.api.call import caller_id, caller_scoped_key, current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.shielding import ShieldedWork
from dc1.services.api.values import from_struct
from dc1.services.inference.call_limiter import CallLimiter
from dc1.services.inference.completion_stream import CompletionStream, streamed, whole
from dc1.services.inference.models import model_figures
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import openai_service_pb2 as pb
from dcp.v1.openai_service_pb2_grpc import OpenAIServiceServicer

_OWNER = "dc1"
_MOST_TRIES = 3
"""So often a call is given room that another server takes."""


def _sent(request: pb.CreateChatCompletionRequest | pb.CompleteChatRequest) -> bytes:
    return request.body.data if request.HasField("body") else compact(from_struct(request.completion)).encode()


class OpenAIServicer(ServicerPart, OpenAIServiceServicer):
    """Models and chat completions."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._work = ShieldedWork()
        self._limiter = CallLimiter(self._plane.clock, self._plane.config.call_limits)

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
        answer = streamed if call.stream else whole
        async with self._held(call) as completion, aclosing(answer(completion)) as bodies:
            async for body in bodies:
                yield body

    async def CompleteChat(self, request: pb.CompleteChatRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Answer a conversation, and say what it cost."""
        call = await self._read(request)
        answer = streamed if call.stream else whole
        async with self._held(call) as completion, aclosing(answer(completion)) as bodies:
            async for body in bodies:
                yield body if call.stream else _priced(body, completion.job)

    async def _read(self, request: pb.CreateChatCompletionRequest | pb.CompleteChatRequest) -> ChatCall:
        sent, most = _sent(request), self._plane.config.completion_max_bytes
        return await apart(len(sent), partial(read_chat, sent, most))

    @asynccontextmanager
    async def _held(self, call: ChatCall) -> AsyncIterator[CompletionStream]:
        """Start a call within its caller's limits, and end it with the block."""
        asked = current_call()
        asked.principal.key_limits.require_model(call.model)
        # A token is a few bytes, and an answer may be as long as it may; what it was is known at its end.
        expected = call.prompt_bytes // BYTES_PER_TOKEN + call.max_tokens
        with self._limiter.admit(asked, expected, streamed=call.stream) as admission:
            # Of a call that is refused nobody reads or makes any.
            admission.tokens = 0
            async with self._started(call) as completion:
                admission.tokens = expected
                try:
                    yield completion
                finally:
                    job = completion.job
                    if job.is_terminal:
                        admission.tokens = (job.prompt_tokens or 0) + (job.completion_tokens or 0)

    @asynccontextmanager
    async def _started(self, call: ChatCall) -> AsyncIterator[CompletionStream]:
        """Start a call, and end it with the block: nobody else waits for it."""
        completion = CompletionStream(self._plane, await self._begun(call), call)
        try:
            yield completion
        finally:
            # Whether the caller left or the server stops: a daemon that went on would hold a slot for an answer nobody
            # reads.
            if completion.job.is_terminal:
                self._plane.completions.answered(completion.job.id)
            else:
                await self._work.run(self._plane.completions.abandon(completion.job.id))

    async def _begun(self, call: ChatCall) -> JobRow:
        """Start a call where there is room; where another server was faster, it waits for room again."""
        renter_id, key_id, tries = caller_id(), caller_scoped_key(), _MOST_TRIES
        while True:
            reserved = await self._plane.completions.reserve(renter_id, call)
            starting = asyncio.ensure_future(self._plane.completions.start(renter_id, call, reserved, key_id))
            tries -= 1
            try:
                # A streamed method is not shielded by the pipeline, so that it ends when its caller leaves; what holds
                # money is shielded here.
                return await asyncio.shield(starting)
            except asyncio.CancelledError:
                # A caller may leave while the call is being committed; then it is ended as soon as it is known.
                await self._work.run(self._abandon(starting))
                raise
            except ApiError as refusal:
                if not tries or refusal.code != OpenAICode.NO_CAPACITY_AVAILABLE:
                    raise

    async def _abandon(self, starting: asyncio.Future[JobRow]) -> None:
        try:
            job = await starting
        except Exception:  # the call was refused, and its caller told so
            return
        await self._plane.completions.abandon(job.id)


def _priced(body: HttpBody, job: JobRow) -> HttpBody:
    # A charge is an integer, and clients that read it divide it: where nothing was charged it is 0 and not absent.
    answer = json.loads(body.data) | {"cost_halala": job.actual_cost_halala or 0}
    return HttpBody(content_type=body.content_type, data=compact(answer).encode())
