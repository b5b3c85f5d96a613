"""Calls through Envoy to the product's own daemon, with the engine that it has built in."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from dc1.daemon.build import build_agent
from dc1.daemon.config import DaemonConfig
from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered
from tests.contract.inference.chat import CHAT, envelope
from tests.contract.inference.paths import COMPLETIONS, EMBEDDINGS, RERANK

pytestmark = [pytest.mark.model, pytest.mark.settings(probe_interval_seconds=0)]

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
CALLS = 16


@asynccontextmanager
async def serving(market: LocalMarket, edge: Edge) -> AsyncIterator[None]:
    """A daemon that offers the model."""
    provider = await asyncio.to_thread(market.register_provider)
    await asyncio.to_thread(market.admin.approve, provider.id)
    agent = build_agent(DaemonConfig(key=provider.key, server=edge.target, containers=False))
    running = asyncio.create_task(agent.run())
    try:
        await asyncio.to_thread(
            eventually, lambda: market.server.market.fleet.known(provider.id).inference_slots == 4, "the slots", 30
        )
        yield
    finally:
        agent.drain()
        agent.drain()
        await running


async def test_what_its_model_cannot_do_is_the_caller_s_mistake(
    market: LocalMarket, edge: Edge, renter: Renter
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    hello = {"messages": [{"role": "user", "content": "Hi"}], "model": MODEL, "max_tokens": 8}
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "odd"}}}
    cases: dict[str, Json] = {
        "The model takes no pictures": {"messages": [{"role": "user", "content": [picture]}]},
        "The provider's engine knows no tools of such a kind": {"tools": [{"type": "web_search"}]},
        "The provider's engine cannot hold an answer to that schema": {"response_format": schema},
        "The provider's engine passes over functions": {"functions": [{"name": "f"}]},
    }

    def refusals() -> list[Json]:
        return [answered(renter.post(CHAT, hello | asked), 400)["error"] for asked in cases.values()]

    # What clients say of a function without a docstring, which llama.cpp takes for a fault of its own.
    tool = {"type": "function", "function": {"name": "f", "description": None, "parameters": {"type": "object"}}}
    async with serving(market, edge):
        said = await asyncio.to_thread(refusals)
        answered(await asyncio.to_thread(renter.post, CHAT, {**hello, "tools": [tool]}))
    for sentence, error in zip(cases, said, strict=True):
        assert error["message"].startswith(sentence)
        assert error["retryable"] is False


async def test_as_many_callers_as_it_has_slots_are_answered_each_time(
    market: LocalMarket, edge: Edge, renter: Renter
) -> None:
    def call(number: int) -> int:
        asked = {"messages": [{"role": "user", "content": f"Say {number}."}], "model": MODEL, "max_tokens": 8}
        answer = answered(renter.post(CHAT, asked))
        assert answer["choices"][0]["message"]["content"]
        completion_tokens: int = answer["usage"]["completion_tokens"]
        return completion_tokens

    async with serving(market, edge):
        with ThreadPoolExecutor(4) as callers:
            said = await asyncio.to_thread(lambda: list(callers.map(call, range(CALLS))))
    assert len(said) == CALLS
    assert all(0 < tokens <= 8 for tokens in said)


async def test_it_has_texts_and_embeddings_beside_chats(market: LocalMarket, edge: Edge, renter: Renter) -> None:
    def ask() -> None:
        listed = answered(market.rest.get(f"/v1/models/{MODEL}"))
        assert {"chat", "completions", "embeddings", "tools"} <= set(listed["capabilities"])
        assert listed["context_length"] == 8192
        text = {"model": MODEL, "prompt": "The sea is", "max_tokens": 5, "temperature": 0}
        answer = answered(renter.post(COMPLETIONS, text))
        assert answer["object"] == "text_completion"
        assert answer["usage"]["completion_tokens"] == 5
        streamed = renter.post(COMPLETIONS, {**text, "stream": True}).text.split("data: ")
        said = "".join(json.loads(frame)["choices"][0]["text"] for frame in streamed if frame.startswith("{"))
        assert said == answer["choices"][0]["text"]
        vectors = answered(renter.post(EMBEDDINGS, {"model": MODEL, "input": ["sea", "desert"]}))["data"]
        assert [len(each["embedding"]) for each in vectors] == [576, 576]
        # It has no tokens to fill in between, repeats nothing, and makes vectors of one length.
        for path, asked in (
            (COMPLETIONS, {**text, "suffix": "blue"}),
            (COMPLETIONS, {**text, "echo": True}),
            (EMBEDDINGS, {"model": MODEL, "input": "sea", "dimensions": 8}),
            (RERANK, {"model": MODEL, "query": "a", "documents": ["b"]}),
        ):
            envelope(renter.post(path, asked), 400, "invalid_request_error")

    async with serving(market, edge):
        await asyncio.to_thread(ask)
