"""Calls under /v1 are counted by model and provider, once those have been looked at."""

import asyncio

from dc1.testing.market import LocalMarket
from tests.daemon.runners.openai_server import MODEL
from tests.metrics.reading import read, value
from tests.support.answering import answering_machine, ask


async def test_calls_tokens_and_speed_are_told_by_model_and_provider(watched: LocalMarket) -> None:
    async with answering_machine(watched):
        # The first comes before anybody looked at who offers what.
        await asyncio.to_thread(ask, watched)
        await asyncio.to_thread(watched.server.look_at_market)
        asked = await asyncio.to_thread(ask, watched)
        found = await asyncio.to_thread(read, watched)

    assert value(found, "dc1_inference_calls_total", model="other", status="completed") == 1
    assert value(found, "dc1_inference_calls_total", model=MODEL.lower(), status="completed") == 1
    assert value(found, "dc1_inference_tokens_total", model=MODEL.lower(), kind="prompt") == asked.prompt_tokens
    assert value(found, "dc1_inference_tokens_total", model=MODEL.lower(), kind="completion") == asked.completion_tokens
    assert value(found, "dc1_inference_provider_calls_total", status="completed") == 2
    assert value(found, "dc1_streams_open", method="ProviderService/Connect") == 1
