"""Any server with the OpenAI chat API: vLLM, llama.cpp, Ollama, SGLang and their kind."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from dc1.daemon.runners.base import RunFailed, token_count
from dc1.daemon.runners.inference.chat import ChatRequest, ToolCalls
from dc1.daemon.runners.inference.engine import Completion, EngineUnavailableError, TokenCallback
from dc1.domain.jobs.states import ErrorCategory
from dc1.proxies import http_proxy

_CONNECT_SECONDS = 5.0
_MODELS_SECONDS = 5.0
# An engine may send without an end, and its daemon holds the jobs of others too.
_MOST_BODY_BYTES = 1024 * 1024
_MOST_LINE_BYTES = 1024 * 1024
_MOST_ANSWER_BYTES = 64 * 1024 * 1024
# What an engine says to an order that it cannot carry out: too long, or with values that it does not take.
_REFUSED = frozenset({400, 413, 422})
# Overload and restarts pass; what is wrong with the request does not.
_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class OpenAIEngine:
    """Talks to one server, named by its base URL with or without `/v1`."""

    def __init__(self, url: str, api_key: str | None = None, device: str = "gpu") -> None:
        """`api_key` is sent as a Bearer token where the server wants one; `device` is what results report."""
        root = url.rstrip("/").removesuffix("/v1")
        address = httpx.URL(root)
        self._device = device
        self._client = httpx.AsyncClient(
            base_url=f"{root}/v1/",
            # Never compressed: a few bytes of it could stand for any number.
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {api_key}"} if api_key else {})},
            # How long an answer may take is the job's deadline, not the transport's.
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            # Engines stand beside their daemon as a rule, and some are somebody's service out there.
            proxy=http_proxy(address.scheme, address.host, address.port),
            trust_env=False,
        )

    async def models(self) -> tuple[str, ...]:
        """Ask the server what it serves."""
        try:
            async with (
                asyncio.timeout(_MODELS_SECONDS),
                self._client.stream("GET", "models", timeout=_MODELS_SECONDS) as answer,
            ):
                answer.raise_for_status()
                return tuple(str(entry["id"]) for entry in json.loads(await _body(answer))["data"])
        except httpx.HTTPStatusError as refused:
            raise EngineUnavailableError(f"{self._client.base_url} answers {refused.response.status_code}") from refused
        except httpx.HTTPError as error:
            raise EngineUnavailableError(f"{self._client.base_url} cannot be reached: {error}") from error
        except TimeoutError as error:
            raise EngineUnavailableError(f"{self._client.base_url} takes too long to answer") from error
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise EngineUnavailableError(f"{self._client.base_url} does not speak the OpenAI API") from error

    async def prepare(self) -> None:
        """Do nothing: the server loads its models itself."""

    async def chat(self, model: str, request: ChatRequest, on_token: TokenCallback) -> Completion:
        """Stream one answer."""
        body = {
            **request.options,
            "model": model,
            "messages": request.messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        pieces: list[str] = []
        usage: dict[str, Any] = {}
        finish_reason = "stop"
        tool_calls = ToolCalls()
        try:
            # Leaving the block closes the connection, which is how these servers learn to stop.
            async with self._client.stream("POST", "chat/completions", json=body) as answer:
                if answer.status_code >= 400:
                    raise _refusal(answer.status_code, await _body(answer))
                async for chunk in _chunks(answer):
                    # The last chunk has the usage and no choice; earlier ones may say null.
                    reported = chunk.get("usage")
                    usage = reported if isinstance(reported, dict) else usage
                    choice = (chunk.get("choices") or [{}])[0]
                    finish_reason = choice.get("finish_reason") or finish_reason
                    delta = choice.get("delta") or {}
                    tool_calls.add(delta.get("tool_calls") or ())
                    text = str(delta.get("content") or "")
                    if text:
                        pieces.append(text)
                        await on_token(text)
        except httpx.HTTPError as error:
            raise RunFailed(
                ErrorCategory.ENGINE, f"the engine's connection failed: {error!r}", transient=True
            ) from error
        return Completion(
            text="".join(pieces),
            prompt_tokens=token_count(usage.get("prompt_tokens")),
            # A server that reports no usage, or none that can be, sends a token a piece.
            completion_tokens=token_count(usage.get("completion_tokens")) or len(pieces),
            device=self._device,
            finish_reason=str(finish_reason),
            tool_calls=tool_calls.whole(),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _chunks(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the objects of the event stream; a stream that ends before `[DONE]` is a failure."""
    async for line in _lines(answer):
        name, _, data = line.partition(":")
        if name != "data":
            continue
        if data.strip() == "[DONE]":
            return
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise RunFailed(ErrorCategory.ENGINE, "the engine sent a frame that is not JSON") from None
        if not isinstance(chunk, dict) or "error" in chunk:
            raise RunFailed(ErrorCategory.ENGINE, f"the engine failed: {_error_text(chunk)}", transient=True)
        yield chunk
    raise RunFailed(ErrorCategory.ENGINE, "the engine's answer broke off", transient=True)


async def _lines(answer: httpx.Response) -> AsyncIterator[str]:
    """Yield the lines of an answer; one that is too long, or the whole, is a failure."""
    unfinished, size = bytearray(), 0
    async for chunk in answer.aiter_raw():
        size += len(chunk)
        unfinished += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(unfinished).split(b"\n")
            unfinished[:] = rest
            for line in lines:
                yield line.decode(errors="replace").removesuffix("\r")
        if len(unfinished) > _MOST_LINE_BYTES or size > _MOST_ANSWER_BYTES:
            raise RunFailed(ErrorCategory.ENGINE, "the engine sent more than an answer can be")


async def _body(answer: httpx.Response) -> bytes:
    """Return a body as far as it is worth reading."""
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            break
    return bytes(body[:_MOST_BODY_BYTES])


def _refusal(status: int, body: bytes) -> RunFailed:
    try:
        text = _error_text(json.loads(body))
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")[:500]
    memory = "out of memory" in text.casefold()
    return RunFailed(
        ErrorCategory.OOM if memory else ErrorCategory.INVALID_PARAMS if status in _REFUSED else ErrorCategory.ENGINE,
        f"the engine answered {status}: {text}",
        transient=status in _RETRYABLE,
    )


def _error_text(body: Any) -> str:
    """Find the message in an error body: `{"error": {"message"}}`, `{"error": text}` or `{"message"}`."""
    error = body.get("error", body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]
