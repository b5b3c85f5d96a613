"""The engine behind --engine-url, against a real server."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors.engine_refusals import EngineRefusal
from dc1.domain.jobs.states import ErrorCategory, JobType
from tests.daemon.runners.openai_server import MODEL, MOST_SENT, OpenAIServer
from tests.daemon.runners.sinks import RecordingSink
from tests.support.connect_proxy import ConnectProxy


def inference(params: JsonObject, *, model: str | None = None, deadline: float = 30) -> Work:
    return Work("job-1", 1, JobType.VLLM_SERVE, deadline, model=model, params=params)


async def start(market: AsyncExitStack, server: OpenAIServer, suffix: str = "", **engine: str) -> EngineRunner:
    await market.enter_async_context(server.serving())
    runner = EngineRunner(OpenAIEngine(server.url + suffix, **engine), gpu_count=2)
    market.push_async_callback(runner.aclose)
    return runner


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_offers_what_the_server_serves(suffix: str) -> None:
    async with AsyncExitStack() as market:
        runner = await start(market, OpenAIServer(), suffix)
        availability = await runner.probe()
    assert availability.available
    assert availability.models == (MODEL,)


async def test_unreachable_server_is_unavailable() -> None:
    runner = EngineRunner(OpenAIEngine("http://127.0.0.1:9"))
    availability = await runner.probe()
    assert not availability.available
    assert "cannot be reached" in availability.reason
    with pytest.raises(RunFailed) as failure:
        await runner.run(inference({"prompt": "Hi"}), RecordingSink())
    assert failure.value.transient
    await runner.aclose()


async def test_streams_and_reports_the_servers_own_counts() -> None:
    server, sink = OpenAIServer(), RecordingSink()
    async with AsyncExitStack() as market:
        runner = await start(market, server, api_key="engine-secret", device="NVIDIA L40S")
        params: JsonObject = {"prompt": "Hi <b>", "max_tokens": "32", "top_p": 0.9, "unknown": 1}
        result = await runner.run(inference(params, model=MODEL.upper()), sink)
    assert sink.tokens == ["Hel", "lo ", "بحر"]
    payload = result.payload
    assert isinstance(payload, dict)
    assert payload["response"] == "Hello بحر"
    assert payload["prompt"] == "Hi <b>"
    assert payload["tokens_generated"] == result.completion_tokens == 5
    assert payload["device"] == "NVIDIA L40S"
    assert result.prompt_tokens == 7
    assert result.gpu_seconds > 0
    sent = server.requests[0]
    assert sent["model"] == MODEL
    assert sent["messages"] == [{"role": "user", "content": "Hi <b>"}]
    assert sent["max_tokens"] == 32
    assert sent["temperature"] == 0.7
    assert sent["top_p"] == 0.9
    assert sent["stream"] is True
    assert "unknown" not in sent
    assert set(server.authorizations) == {"Bearer engine-secret"}


async def test_conversation_is_passed_on_and_its_question_reported() -> None:
    server = OpenAIServer(usage=None)
    messages: JsonObject = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": " two"}]},
        ]
    }
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        result = await runner.run(inference(messages), RecordingSink())
    assert server.requests[0]["messages"][1] == {"role": "user", "content": "One two"}
    assert isinstance(result.payload, dict)
    assert result.payload["prompt"] == "One two"
    assert result.completion_tokens == 3
    assert result.prompt_tokens is None


async def test_a_conversations_other_keys_are_the_engines() -> None:
    said: list[JsonValue] = [
        {"role": "developer", "content": "Be brief.", "name": "ops"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1"}]},
        {"role": "tool", "content": "21 C", "tool_call_id": "c1"},
    ]
    messages: JsonObject = {
        "messages": [said[0], {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}, said[2]],
        "max_tokens": 9,
        "temperature": 0,
    }
    options: JsonObject = {
        "top_p": 0.5,
        "logit_bias": {"5": -100},
        "stop": ["END"],
        "response_format": {"type": "json"},
    }
    ours: JsonObject = {"model": "other/model", "stream": False, "stream_options": {}, "n": 1, "seed": None}
    server = OpenAIServer(finish_reason="length")
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        result = await runner.run(inference({**messages, **options, **ours}, model=MODEL), RecordingSink())
    assert server.requests[0] == {
        **options,
        "model": MODEL,
        "messages": said,
        "max_tokens": 9,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert isinstance(result.payload, dict)
    assert result.payload["finish_reason"] == "length"
    assert "tool_calls" not in result.payload


async def test_calls_of_tools_are_put_together() -> None:
    pieces: list[JsonObject] = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": '"Jeddah"}'}},
    ]
    server = OpenAIServer(pieces=[], finish_reason="tool_calls", tool_call_pieces=pieces)
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        result = await runner.run(inference({"prompt": "Weather?"}), RecordingSink())
    assert isinstance(result.payload, dict)
    assert result.payload["finish_reason"] == "tool_calls"
    assert result.payload["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Jeddah"}'}},
        {"id": "c2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
    ]


@pytest.mark.parametrize(
    ("server", "category", "transient", "text"),
    [
        (
            OpenAIServer(refusal=(400, json.dumps({"error": {"message": "bad top_p"}}))),
            "invalid_params",
            False,
            "400: bad top_p",
        ),
        (OpenAIServer(refusal=(404, '{"error": "no such model"}')), "engine", False, "no such model"),
        (OpenAIServer(refusal=(429, "slow down")), "engine_busy", True, "slow down"),
        (OpenAIServer(refusal=(503, '{"message": "loading"}')), "engine", True, "loading"),
        (OpenAIServer(refusal=(500, "CUDA out of memory")), "oom", True, "CUDA out of memory"),
        (
            OpenAIServer(refusal=(500, json.dumps({"error": {"message": "image input is not supported - hint"}}))),
            "invalid_params",
            False,
            "400: image input is not supported",
        ),
        (OpenAIServer(breaks_off=True), "engine", True, "broke off"),
        (OpenAIServer(error_frame="engine died"), "engine", True, "engine died"),
    ],
)
async def test_failures_keep_their_text(server: OpenAIServer, category: str, transient: bool, text: str) -> None:
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        with pytest.raises(RunFailed, match=text) as failure:
            await runner.run(inference({"prompt": "Hi"}), RecordingSink())
    assert failure.value.category == ErrorCategory(category)
    assert failure.value.transient is transient


@pytest.mark.parametrize(
    ("server", "refusal"),
    [
        (OpenAIServer(refusal=(429, "slow"), retry_after="7"), EngineRefusal(429, retry_after_seconds=7)),
        (OpenAIServer(refusal=(429, "slow"), retry_after="9" * 40), EngineRefusal(429, retry_after_seconds=3600)),
        (OpenAIServer(refusal=(429, "slow"), retry_after="soon"), EngineRefusal(429)),
        (
            OpenAIServer(refusal=(429, "slow"), retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
            EngineRefusal(429, retry_after_seconds=1),
        ),
        (
            OpenAIServer(refusal=(422, json.dumps({"error": {"code": "context_length_exceeded"}}))),
            EngineRefusal(422, is_too_long=True),
        ),
        (OpenAIServer(refusal=(413, "large")), EngineRefusal(413)),
        (OpenAIServer(refusal=(500, "broken")), None),
    ],
)
async def test_a_refusal_is_told_in_numbers(server: OpenAIServer, refusal: EngineRefusal | None) -> None:
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        with pytest.raises(RunFailed) as failure:
            await runner.run(inference({"prompt": "Hi"}), RecordingSink())
    assert failure.value.refusal == refusal


@pytest.mark.parametrize(
    "endless",
    [
        ("200 chat/completions", b"x" * 65536),
        ("200 chat/completions", b'data: {"x": "' + b"y" * 60_000 + b'"}\n'),
        ("500 chat/completions", b"x" * 65536),
        ("200 models", b"x" * 65536),
        ("500 models", b"x" * 65536),
    ],
    ids=["line", "answer", "refusal", "models", "models-refused"],
)
async def test_an_answer_without_an_end_is_the_end_of_one_run(endless: tuple[str, bytes]) -> None:
    server = OpenAIServer(endless=endless)
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        with pytest.raises(RunFailed) as failure:
            await runner.run(inference({"prompt": "Hi"}), RecordingSink())
    assert failure.value.category is ErrorCategory.ENGINE
    assert server.sent < MOST_SENT / 2


async def test_cancelling_hangs_up_on_the_server() -> None:
    server, sink = OpenAIServer(hangs=True), RecordingSink()
    async with AsyncExitStack() as market:
        runner = await start(market, server)
        running = asyncio.create_task(runner.run(inference({"prompt": "Hi"}), sink))
        await sink.wait_for_token(3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(10):
            await server.client_left.wait()


async def test_deadline_is_a_timeout() -> None:
    async with AsyncExitStack() as market:
        runner = await start(market, OpenAIServer(hangs=True))
        with pytest.raises(RunFailed) as failure:
            await runner.run(inference({"prompt": "Hi"}, deadline=0.3), RecordingSink())
    assert failure.value.category == ErrorCategory.TIMEOUT


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "prompt or params.messages is required"),
        ({"prompt": ""}, "is required"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens must be a number from 1 to 8192"),
        ({"prompt": "x", "temperature": "hot"}, "temperature must be a number from 0 to 2"),
        ({"prompt": "x", "temperature": True}, "temperature must be"),
        ({"messages": ["x"]}, "must hold objects"),
        ({"messages": [{"role": "alien", "content": "x"}]}, "role must be one of"),
        ({"messages": [{"role": "user", "content": 5}]}, "content must be text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text content"),
        ({"messages": [{"role": "user", "content": "x"}] * 101}, "more than 100"),
        (
            {"messages": [{"role": "user", "content": "x"}], "chat_template": "{{ 1 }}"},
            "chat_template is for the owner",
        ),
        ({"messages": [{"role": "user", "content": "x"}], "Messages": []}, "Messages must be spelled messages"),
    ],
)
async def test_unusable_params_fail_with_a_reason(params: JsonObject, text: str) -> None:
    async with AsyncExitStack() as market:
        runner = await start(market, OpenAIServer())
        with pytest.raises(RunFailed, match=text) as failure:
            await runner.run(inference(params), RecordingSink())
    assert not failure.value.transient


async def test_an_engine_out_there_is_reached_through_the_proxy_and_one_here_without(
    no_proxies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ConnectProxy().serving() as proxy, OpenAIServer().serving() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        port = server.url.rpartition(":")[2]
        here, there = OpenAIEngine(server.url), OpenAIEngine(f"http://engine.example.test:{port}")
        assert await here.models() == (MODEL,)
        assert proxy.asked == []
        assert await there.models() == (MODEL,)
        assert proxy.asked == [f"GET http://engine.example.test:{port}/v1/models"]
        await here.aclose()
        await there.aclose()
