"""Inference jobs: a prompt or a conversation goes to an engine, tokens come back as they are made."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dc1.daemon.runners.base import EngineCall, Readiness, Result, RunFailed, Sink, Work, within_deadline
from dc1.daemon.runners.inference.chat import ChatRequest, parse_chat
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase
from dc1.domain.providers.model_abilities import ModelAbilities

TokenCallback = Callable[[str], Awaitable[None]]
EventCallback = Callable[[str, str, bool], Awaitable[None]]
"""Takes an event's text, empty for none, the text that it adds to the answer, and whether it is the last."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer. Token counts are the engine's own, None where it counts nothing.

    `device` is what it ran on, as far as the engine says.
    `finish_reason` is why it ended, in the words of the OpenAI API, and `tool_calls` are the calls that the model wants
    made. `extras` is what else was said, by its name in a result: `reasoning_content`, `refusal`, `logprobs`,
    `system_fingerprint` and `usage_details`. `kind` is what it is of; what is no text has none.
    """

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    device: str
    finish_reason: str = "stop"
    tool_calls: tuple[JsonObject, ...] = ()
    extras: JsonObject = field(default_factory=dict)
    kind: str = "text"


class EngineUnavailableError(Exception):
    """The engine cannot be used now; the text says why."""


class EngineMissingError(EngineUnavailableError):
    """What the engine is made of is not installed here, as on many machines that have no use for it."""


class Engine(Protocol):
    """Something that answers chats with a language model."""

    async def models(self) -> tuple[str, ...]:
        """Return the names of the models it serves, the default one first, or raise EngineUnavailableError."""
        ...

    async def concurrency(self) -> int:
        """Return how many calls it takes at once, 0 when it does not say. Never raises."""
        ...

    async def abilities(self) -> Mapping[str, ModelAbilities]:
        """Return what its models can do, by their names, as far as it is known. Never raises."""
        ...

    async def prepare(self) -> None:
        """Load what the first answer would otherwise wait for, or raise EngineUnavailableError."""
        ...

    async def chat(self, model: str, request: ChatRequest, on_token: TokenCallback) -> Completion:
        """Answer, handing over each piece of text as it comes, or raise RunFailed; cancelling stops the generation."""
        ...

    async def call(self, model: str, call: EngineCall, on_event: EventCallback) -> Completion:
        """Answer a call as it was put, handing over each event of the answer as it comes, or raise RunFailed."""
        ...

    async def aclose(self) -> None:
        """Free the engine."""
        ...


class EngineRunner:
    """Runs inference jobs on one engine."""

    kinds = frozenset({JobType.LLM_INFERENCE, JobType.LLM_INFERENCE_DASHED, JobType.VLLM_SERVE})

    def __init__(self, engine: Engine, gpu_count: int = 0, concurrency: int | None = None) -> None:
        """`gpu_count` is how many GPUs the engine occupies while it answers, if it does so on GPUs.

        `concurrency` is how many calls it takes at once; None asks the engine.
        """
        self._engine = engine
        self._gpu_count = gpu_count
        self._concurrency = concurrency
        self._served: tuple[str, ...] = ()

    async def probe(self) -> Readiness:
        """Ask the engine for its models."""
        self._served = ()
        try:
            models = await self._engine.models()
        except EngineUnavailableError as unavailable:
            return Readiness(False, str(unavailable))
        if not models:
            return Readiness(False, "the engine serves no model")
        self._served = models
        calls = self._concurrency or await self._engine.concurrency()
        reason = f"serves {', '.join(models)}, {calls or 'a call for each GPU'} at once"
        return Readiness(True, reason, models, calls, dict(await self._engine.abilities()))

    @within_deadline
    async def run(self, work: Work, sink: Sink) -> Result:
        """Answer the job's prompt or conversation."""
        started = time.monotonic()
        request = None if work.call is not None else parse_chat(work.params)
        try:
            model = await self._model(work.model)
            await sink.phase(Phase.LOADING_MODEL)
            await self._engine.prepare()
        except EngineUnavailableError as unavailable:
            raise RunFailed(ErrorCategory.ENGINE, str(unavailable), transient=True) from unavailable
        await sink.phase(Phase.GENERATING)
        generating = time.monotonic()
        try:
            if work.call is not None:
                completion = await self._engine.call(model, work.call, sink.event)
            else:
                assert request is not None
                completion = await self._engine.chat(model, request, sink.token)
        except RunFailed:
            # It may be that the engine's owner has changed its models: the next call looks again.
            self._served = ()
            raise
        ended = time.monotonic()
        # An answer may take less than the clock's resolution, and a rate needs a divisor.
        seconds = max(ended - generating, 1e-6)
        return Result(
            payload={
                "type": completion.kind,
                # What was asked of a call is in its body, with all that is read for an answer.
                **({} if request is None else {"prompt": request.prompt}),
                **({"response": completion.text} if completion.kind == "text" else {}),
                "model": model,
                **_made(completion.completion_tokens, seconds),
                "gen_time_s": round(seconds, 3),
                "total_time_s": round(ended - started, 3),
                "device": completion.device,
                "finish_reason": completion.finish_reason,
                **({"tool_calls": list(completion.tool_calls)} if completion.tool_calls else {}),
                **completion.extras,
            },
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            gpu_seconds=0.0 if completion.device == "cpu" else round(seconds * self._gpu_count, 3),
        )

    async def _model(self, wanted: str | None) -> str:
        """Return the name of the model that is called."""
        # The look of a minute ago is good enough, as long as it has the name and no call has failed since.
        if (found := _served_name(wanted, self._served)) is None:
            self._served = await self._engine.models()
            found = _served_name(wanted, self._served)
        if found is None:
            raise RunFailed(ErrorCategory.ENGINE, f"model '{wanted}' is not served here")
        return found

    async def aclose(self) -> None:
        """Close the engine."""
        await self._engine.aclose()


def _served_name(wanted: str | None, served: tuple[str, ...]) -> str | None:
    """Return the served name that `wanted` means, whatever its case; the default model when none is wanted."""
    if wanted is None:
        return next(iter(served), None)
    return next((name for name in served if name.casefold() == wanted.casefold()), None)


def _made(tokens: int | None, seconds: float) -> JsonObject:
    return {} if tokens is None else {"tokens_generated": tokens, "tokens_per_second": round(tokens / seconds, 2)}
