"""How many calls an engine is found to take at once."""

import json

import pytest

from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from tests.daemon.runners.openai_server import OpenAIServer

VLLM = """# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",cache_dtype="auto",num_gpu_blocks="%d",enable_prefix_caching="True"} 1.0
"""
STATE = {"effective_max_running_requests_per_dp": 48}


@pytest.mark.parametrize(
    ("pages", "calls"),
    [
        ({}, 0),
        ({"/props": json.dumps({"total_slots": 4, "model_path": "m.gguf"})}, 4),
        ({"/get_server_info": json.dumps({"max_running_requests": 48})}, 48),
        ({"/slots": json.dumps([{"id": 0}, {"id": 1}, {"id": 2}])}, 3),
        ({"/slots": '{"error": {"code": 501}}'}, 0),
        ({"/get_server_info": json.dumps({"max_running_requests": None, "internal_states": [STATE, STATE]})}, 96),
        ({"/server_info": json.dumps({"max_running_requests": None, "internal_states": [STATE]})}, 48),
        ({"/server_info": json.dumps({"max_total_num_tokens": 20_480, "internal_states": ["x"]})}, 10),
        ({"/metrics": 'sglang:max_total_num_tokens{engine_type="unified"} 20480.0\n'}, 10),
        ({"/metrics": VLLM % 4_000}, 31),
        ({"/metrics": VLLM % 4_000 + VLLM % 4_000}, 62),
        ({"/metrics": VLLM % 400_000}, 256),
        ({"/metrics": VLLM % 1}, 1),
        ({"/info": json.dumps({"max_concurrent_requests": 128})}, 128),
        ({"/props": json.dumps({"total_slots": 10**12})}, 4_096),
        ({"/props": json.dumps({"total_slots": True}), "/info": json.dumps({"max_concurrent_requests": 7})}, 7),
        ({"/props": json.dumps({"total_slots": -1}), "/metrics": "vllm:cache_config_info{} 1.0"}, 0),
        ({"/props": "[" * 5_000, "/get_server_info": "[]", "/metrics": "\ufffd", "/info": "null"}, 0),
    ],
)
async def test_an_engine_s_own_word_is_taken_for_what_it_takes_at_once(pages: dict[str, str], calls: int) -> None:
    async with OpenAIServer(pages=pages).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        found = await runner.probe()
        await runner.aclose()
    assert found.available
    assert found.calls == calls


async def test_the_operator_s_word_is_taken_before_the_engine_s() -> None:
    async with OpenAIServer(pages={"/props": json.dumps({"total_slots": 4})}).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url), concurrency=9)
        found = await runner.probe()
        await runner.aclose()
    assert found.calls == 9
    assert "9 at once" in found.reason


@pytest.mark.parametrize(("owner", "calls"), [("vllm", 32), ("SGLang", 32), ("library", 0), (None, 0), ([], 0)])
async def test_of_one_behind_a_proxy_its_kind_says_it(owner: object, calls: int) -> None:
    models = [{"id": "m", "owned_by": owner}]
    async with OpenAIServer(models=models).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        found = await runner.probe()
        await runner.aclose()
    assert found.calls == calls
