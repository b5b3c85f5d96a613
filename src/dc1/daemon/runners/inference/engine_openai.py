"""Any server with the OpenAI chat API: vLLM, llama.cpp, Ollama, SGLang and their kind."""

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import aclosing, closing, suppress
from functools import partial

import aiohttp

from dc1 import tracing
from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.inference.chat import ChatRequest
from dc1.daemon.runners.inference.discovery.abilities import AbilityProbe
from dc1.daemon.runners.inference.discovery.concurrency import concurrency
from dc1.daemon.runners.inference.engine import Completion, EngineUnavailableError, EventCallback, TokenCallback
from dc1.daemon.runners.inference.engine_http import EngineHttp, pieces_of
from dc1.daemon.runners.inference.event_stream import TOO_MUCH, EventReader
from dc1.daemon.runners.inference.infill import heeded, llamacpp_text
from dc1.daemon.runners.inference.refusals import refusal, too_large
from dc1.daemon.runners.inference.relays.relay import EventRelay, Relay, TextRelay, WholeRelay, asked_of
from dc1.daemon.runners.inference.relays.typed_relay import TypedRelay
from dc1.domain.base.json_types import JsonObject, compact
from dc1.domain.inference.kinds import kind_of
from dc1.domain.inference.owners_keys import LOGPROBS
from dc1.domain.inference.typed_answers import TYPED_PATHS
from dc1.domain.jobs.states import ErrorCategory
from dc1.domain.providers.model_abilities import EnginePath, ModelAbilities

_MODELS_SECONDS = 5.0
# An engine may send without an end, and its daemon holds the jobs of others too.
_MOST_BODY_BYTES = 1024 * 1024
_OK = 200
_REDIRECTED = 300
_UNKNOWN_KEY = frozenset({400, 422})
_AFTERWARDS_SECONDS = 5.0


class _UsageRefusedError(Exception):
    """The engine does not know the option that asks for the usage."""


class OpenAIEngine:
    """Talks to one server, named by its base URL with or without `/v1`."""

    def __init__(self, url: str, api_key: str | None = None, device: str = "gpu", socket: str | None = None) -> None:
        """`api_key` is sent as a Bearer token where the server wants one; `device` is what results report.

        A server that listens at a `socket` of this machine is spoken to there, whatever host the URL names.
        """
        root = url.rstrip("/").removesuffix("/v1")
        self._device = device
        self._says_usage = True
        self._entries: list[JsonObject] = []
        self._probe = AbilityProbe(self._said, partial(self._answer, "POST"))
        # As it is named in errors, which are logged: a URL may have a password in it.
        self._api = f"{re.sub('(?<=//)[^/]*@', '', root)}/v1"
        self._http = EngineHttp(root, {"Authorization": f"Bearer {api_key}"} if api_key else {}, socket)

    async def models(self) -> tuple[str, ...]:
        """Ask the server what it serves."""
        try:
            async with asyncio.timeout(_MODELS_SECONDS):
                with closing(await self._http.ask("GET", "v1/models")) as answer:
                    if answer.status >= _REDIRECTED:
                        self._probe.forget()
                        raise EngineUnavailableError(f"{self._api} answers {answer.status}")
                    # `null` is how a server in Go writes an empty list.
                    entries = json.loads(await _body(answer))["data"] or ()
            names = tuple(str(entry["id"]) for entry in entries)
            self._entries = [entry for entry in entries if isinstance(entry, dict)]
            return names
        except aiohttp.ClientError as error:
            self._probe.forget()
            raise EngineUnavailableError(f"{self._api} cannot be reached: {error}") from error
        except TimeoutError as error:
            raise EngineUnavailableError(f"{self._api} takes too long to answer") from error
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise EngineUnavailableError(f"{self._api} does not speak the OpenAI API") from error

    async def concurrency(self) -> int:
        """Ask the server how many calls it takes at once."""
        return await concurrency(self._said, {str(entry.get("owned_by")) for entry in self._entries})

    @property
    def _fills_in(self) -> bool:
        """Whether it is llama.cpp's server, which fills in texts by a path of its own."""
        return self._probe.fills_in

    async def abilities(self) -> Mapping[str, ModelAbilities]:
        """Ask the server what its models can do."""
        return await self._probe.of(self._entries)

    async def _said(self, path: str) -> bytes | None:
        """Return what the server says beside the API, None where it says nothing."""
        said = await self._answer("GET", path)
        return said[1] if said is not None and said[0] == _OK else None

    async def _answer(self, method: str, path: str, body: JsonObject | None = None) -> tuple[int, bytes] | None:
        """Return the status and what the server says, None where it says nothing in time."""
        try:
            async with asyncio.timeout(_MODELS_SECONDS):
                with closing(await self._http.ask(method, path, None if body is None else compact(body))) as answer:
                    # Read whatever the status is: a connection that is left before the end cannot be used again.
                    return answer.status, await _body(answer)
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def prepare(self) -> None:
        """Do nothing: the server loads its models itself."""

    async def chat(self, model: str, request: ChatRequest, on_token: TokenCallback) -> Completion:
        """Stream one answer."""
        body: JsonObject = {
            **request.options,
            "model": model,
            "messages": [*request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": True,
        }
        return await self._answered("v1/chat/completions", TextRelay(body, on_token))

    async def call(self, model: str, call: EngineCall, on_event: EventCallback) -> Completion:
        """Answer a call as its caller put it, in one piece or as a stream."""
        try:
            return await self._called(model, call, on_event)
        except RunFailed as failed:
            # Of all that a caller may ask for together an honest engine has more to say than is carried.
            raise (too_large() if failed.message == TOO_MUCH and _asks_for_much(call) else failed) from None

    async def _called(self, model: str, call: EngineCall, on_event: EventCallback) -> Completion:
        path = call.path.removeprefix("/")
        if call.path in TYPED_PATHS:
            return await self._answered(path, TypedRelay(call, model, on_event))
        if kind_of(call.path).answer_fault is not None:
            return await self._answered(path, WholeRelay(call, model, on_event))
        if self._fills_in:
            call = heeded(call)
        if self._fills_in and call.path == EnginePath.COMPLETIONS:
            path, relay = llamacpp_text(call, model, on_event)
            return await self._answered(path, relay)
        return await self._answered(path, self._relay(call, model, on_event))

    def _relay(self, call: EngineCall, model: str, on_event: EventCallback) -> Relay:
        """Return who listens to the answer of a call that may be streamed."""
        return EventRelay(call, model, on_event)

    async def _answered(self, path: str, relay: Relay) -> Completion:
        try:
            if self._says_usage and relay.asking is not relay.body:
                try:
                    await self._ask(path, relay.asking, relay)
                except _UsageRefusedError:
                    await self._ask(path, relay.body, relay)
                    # An older server, which refuses keys that it does not know: it would refuse every call. One that
                    # takes the call without them neither refused what stands in the caller's own stream_options.
                    self._says_usage = False
            else:
                await self._ask(path, relay.body, relay)
        except aiohttp.ClientError as error:
            raise await self._broken(error) from error
        except RecursionError:
            raise RunFailed(ErrorCategory.ENGINE, "the engine's answer is nested too deeply", transient=True) from None
        return relay.answer.completion(self._device)

    async def _broken(self, error: aiohttp.ClientError) -> RunFailed:
        """Return the failure that a connection which failed stands for."""
        return RunFailed(
            ErrorCategory.ENGINE, f"the engine's connection failed: {type(error).__name__}", transient=True
        )

    async def _ask(self, path: str, body: str, relay: Relay) -> None:
        with tracing.span("engine", "client", http__route=path):
            await self._exchange(path, body, relay)

    async def _exchange(self, path: str, body: str, relay: Relay) -> None:
        # Leaving the block closes the connection, which is how these servers learn to stop.
        with closing(await self._http.call(path, body)) as response:
            if response.status != _OK:
                said = await _body(response)
                if body is not relay.body and response.status in _UNKNOWN_KEY and b"stream_options" in said:
                    raise _UsageRefusedError
                raise refusal(response.status, said, response.headers)
            try:
                is_done = await self._read(response, relay)
            except aiohttp.ClientError:
                # A connection that ends badly after the text has ended took nothing away.
                if not relay.answer.is_finished:
                    raise
                is_done = True
        if not is_done and not relay.answer.is_finished:
            raise RunFailed(ErrorCategory.ENGINE, "the engine's answer broke off", transient=True)
        await relay.end()

    @staticmethod
    async def _read(response: aiohttp.ClientResponse, relay: Relay) -> bool:
        """Read an answer to its end, and tell whether the engine called it one."""
        if isinstance(relay, TypedRelay) and relay.takes_bytes(response.headers.get("content-type", "")):
            await relay.take_bytes(response)
            return True
        reader = EventReader(pieces_of(response), response.headers.get("content-type", ""))
        clock = asyncio.get_running_loop().time
        scope, left = asyncio.timeout(None), _AFTERWARDS_SECONDS
        try:
            async with scope, aclosing(reader.events()) as events:
                async for event in events:
                    if (until := scope.when()) is not None:
                        # What takes long to be passed on is not the engine's silence.
                        left = max(0.0, until - clock())
                        scope.reschedule(None)
                    await relay.take(event)
                    if relay.is_cut:
                        return True
                    if relay.answer.is_finished:
                        reader.is_over = True
                        # The usage comes after the text's end, and of some engines neither it nor `[DONE]` ever.
                        scope.reschedule(clock() + left)
        except TimeoutError:
            if not scope.expired():
                raise
        return reader.is_done

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _asks_for_much(call: EngineCall) -> bool:
    """Tell whether a call asks for what may make an answer larger than any that is carried."""
    asked, kind = asked_of(call), kind_of(call.path)
    return kind.answer_fault is not None or kind.answers(asked) > 1 or any(map(asked.get, LOGPROBS))


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Return a body as far as it is worth reading, and can be read."""
    body = bytearray()
    # Of a refusal that nobody can read its status says enough, and whoever looks at an engine finds no JSON.
    with suppress(RunFailed):
        async for chunk in pieces_of(answer):
            body += chunk
            if len(body) > _MOST_BODY_BYTES:
                break
    return bytes(body[:_MOST_BODY_BYTES])
