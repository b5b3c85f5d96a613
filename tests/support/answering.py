"""A machine that answers calls under /v1 by the product's own daemon, and a caller with OpenAI's client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
from openai.types import CompletionUsage

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.testing.machine import MadeUpMachine
from dc1.testing.market import LocalMarket
from dc1.testing.waiting import eventually
from tests.daemon.runners.openai_server import MODEL, OpenAIServer


@asynccontextmanager
async def answering_machine(market: LocalMarket) -> AsyncIterator[OpenAIServer]:
    """A daemon with an engine, on this loop: a daemon takes signals, which only the main thread's may."""
    provider = market.register_provider()
    market.admin.approve(provider.id)
    config = DaemonConfig(key=provider.key, server=market.edge.target)
    async with OpenAIServer().serving() as engine:
        agent = Agent(config, [EngineRunner(OpenAIEngine(engine.url))], MadeUpMachine())
        running = asyncio.create_task(agent.run())
        try:
            yield engine
        finally:
            agent.drain()
            agent.drain()
            await running


def ask(market: LocalMarket, **headers: str) -> CompletionUsage:
    """Return what the answer to a question counts."""
    renter = market.add_renter()
    renter.top_up(10_000)
    client = openai.OpenAI(base_url=f"{market.edge.url}/v1", api_key=renter.key, max_retries=0)
    with client:
        eventually(lambda: [each.id for each in client.models.list()] == [MODEL], "the model being offered", 60)
        said = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "?"}], max_tokens=20, extra_headers=headers
        )
    assert said.choices[0].message.content == "Hello بحر"
    assert said.usage is not None
    return said.usage
