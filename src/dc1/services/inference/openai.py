"""OpenAIService: inference for programs that speak the OpenAI chat API."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from google.api.httpbody_pb2 import HttpBody

from dc1.control.fleet.model_offers import Offered, offer_of_model, offered_by
from dc1.control.fleet.provider import Provider
from dc1.domain.base.json_types import compact
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.kinds import read_call
from dc1.domain.jobs.states import JobType
from dc1.domain.providers.model_abilities import CHAT_ALONE, EnginePath
from dc1.services.api.apart import apart
from dc1.services.api.parts import Parts
from dc1.services.api.values import from_struct
from dc1.services.inference.audio import AudioCalls
from dc1.services.inference.engine_calls import answer_of
from dc1.services.inference.models import capabilities_of, model_figures, parameters_of, speed_fields
from dc1.services.inference.translated import TranslatedCalls
from dc1.services.inference.typed_chat import TypedChatCalls
from dc1.services.public.kept_answers import KeptAnswers
from dc1.services.public.machine_facts import MachineFacts
from dc1.storage.jobs.job_records import JobRow
from dcp.v1 import openai_calls_pb2 as calls_pb
from dcp.v1 import openai_service_pb2 as pb
from dcp.v1.openai_service_pb2_grpc import OpenAIServiceServicer

_OWNER = "dc1"


_Request: TypeAlias = (
    pb.CreateChatCompletionRequest
    | pb.CompleteChatRequest
    | calls_pb.CreateCompletionRequest
    | calls_pb.CreateEmbeddingsRequest
    | calls_pb.CreateRerankRequest
    | calls_pb.CreateImagesRequest
)


class OpenAIServicer(TranslatedCalls, AudioCalls, TypedChatCalls, OpenAIServiceServicer):
    """Models, the calls that engines take on paths of their own, and what is translated to them."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._served = MachineFacts(self._plane, self._served_by)
        self._models: KeptAnswers[pb.ListServedModelsResponse] = KeptAnswers()

    def _served_by(self, provider: Provider) -> tuple[Offered, Sequence[str]] | None:
        offered = offered_by(self._plane.fleet, provider, self._plane.clock.now_ms())
        return None if offered is None else (offered, self._plane.completions.served_by(provider))

    async def ListServedModels(self, request: pb.ListServedModelsRequest, context: Any) -> pb.ListServedModelsResponse:
        """List the models that can be called now."""

        def build() -> pb.ListServedModelsResponse:
            served = self._plane.completions.served()
            return pb.ListServedModelsResponse(object="list", data=[self._model(*one) for one in served.items()])

        catalog, speeds = self._plane.catalog, self._plane.dispatcher.speeds
        told = (self._served.version, speeds.version, catalog.prices_of_tokens, catalog.rate(JobType.LLM_INFERENCE))
        return self._models.answer(told, request, build)

    async def GetServedModel(self, request: pb.GetServedModelRequest, context: Any) -> pb.ServedModel:
        """Show a model that can be called now."""
        return self._model(*self._plane.completions.one_served(request.model))

    def _model(self, name: str, first_ms: int) -> pb.ServedModel:
        prices = self._plane.catalog.token_prices(name)
        offer = offer_of_model(self._plane.fleet, name, self._plane.clock.now_ms())
        abilities = offer.abilities or CHAT_ALONE
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
            context_length=abilities.context_length,
            architecture=pb.ModelArchitecture(
                input_modalities=sorted(abilities.input_modalities),
                output_modalities=sorted(abilities.output_modalities),
            ),
            capabilities=capabilities_of(abilities),
            supported_parameters=parameters_of(abilities),
            **speed_fields(self._plane.dispatcher.speeds.of_model(name)),
            **model_figures(offer, self._plane.catalog.rate(JobType.LLM_INFERENCE)),
        )

    def CreateChatCompletion(
        self, request: pb.CreateChatCompletionRequest, context: Any
    ) -> AsyncGenerator[HttpBody, None]:
        """Answer a conversation, as one JSON object or as events."""
        return self._engine_answers(EnginePath.CHAT, request)

    async def CompleteChat(self, request: pb.CompleteChatRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Answer a conversation, and say what it cost."""
        call = await self._read(EnginePath.CHAT, request)
        async with self._calls.held(call) as completion, aclosing(answer_of(completion)) as bodies:
            async for body in bodies:
                yield body if call.stream else _priced(body, completion.job)

    def CreateCompletion(
        self, request: calls_pb.CreateCompletionRequest, context: Any
    ) -> AsyncGenerator[HttpBody, None]:
        """Go on with a text, or fill in what is missing in it."""
        return self._engine_answers(EnginePath.COMPLETIONS, request)

    def CreateEmbeddings(
        self, request: calls_pb.CreateEmbeddingsRequest, context: Any
    ) -> AsyncGenerator[HttpBody, None]:
        """Return the embeddings of texts."""
        return self._engine_answers(EnginePath.EMBEDDINGS, request)

    def CreateRerank(self, request: calls_pb.CreateRerankRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Rank documents by how well they fit a query."""
        return self._engine_answers(EnginePath.RERANK, request)

    def CreateImages(self, request: calls_pb.CreateImagesRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Make pictures of what is said of them."""
        return self._engine_answers(EnginePath.IMAGES, request)

    async def _engine_answers(self, path: EnginePath, request: _Request) -> AsyncGenerator[HttpBody, None]:
        async with aclosing(self._answered(await self._read(path, request))) as bodies:
            async for body in bodies:
                yield body

    async def _read(self, path: EnginePath, request: _Request) -> InferenceCall:
        sent, most = _sent(request), self._plane.config.completion_max_bytes
        return await apart(len(sent), partial(read_call, path, sent, most))


def _sent(request: _Request) -> bytes:
    if request.HasField("body"):
        return request.body.data
    if isinstance(request, pb.CreateChatCompletionRequest | pb.CompleteChatRequest):
        return compact(from_struct(request.completion)).encode()
    return compact(from_struct(request.call)).encode()


def _priced(body: HttpBody, job: JobRow) -> HttpBody:
    # A charge is an integer, and clients that read it divide it: where nothing was charged it is 0 and not absent.
    answer = json.loads(body.data) | {"cost_halala": job.actual_cost_halala or 0}
    return HttpBody(content_type=body.content_type, data=compact(answer).encode())
