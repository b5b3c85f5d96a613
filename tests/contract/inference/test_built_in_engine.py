"""Calls through Envoy to the product's own daemon, with the engine that it has built in."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from dc1.daemon.build import build_agent
from dc1.daemon.config import DaemonConfig
from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.expect import answered
from tests.contract.inference.chat import CHAT

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
    asked = {"messages": [{"role": "user", "content": [picture]}], "model": MODEL, "max_tokens": 8}
    async with serving(market, edge):
        response = await asyncio.to_thread(renter.post, CHAT, asked)
    assert answered(response, 400)["error"]["retryable"] is False


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
