"""Engines that speak the OpenAI API in ways of their own: what is said arrives, and what is nonsense ends one run."""

import json
from typing import Any

import pytest

from dc1.daemon.leases.messages import sendable
from dc1.daemon.runners.base import Result, RunFailed, Work
from dc1.daemon.runners.inference import engine_openai
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory, JobType
from tests.daemon.runners.openai_server import OpenAIServer
from tests.daemon.runners.sinks import RecordingSink

DONE = b"data: [DONE]\n\n"
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'


def frame(delta: Any, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **more}
    return f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


def says(text: str) -> bytes:
    return frame({"content": text})


def calls(*pieces: JsonObject) -> tuple[bytes, ...]:
    return tuple(frame({"tool_calls": [piece]}) for piece in pieces)


async def ask(server: OpenAIServer) -> tuple[JsonObject, RecordingSink, Result]:
    sink = RecordingSink()
    async with server.serving():
        runner = EngineRunner(OpenAIEngine(server.url))
        try:
            work = Work("job-1", 1, JobType.VLLM_SERVE, 20, params={"prompt": "Hi"})
            # As the daemon would send it, for what cannot be sent is no answer.
            result = sendable(await runner.run(work, sink))
        finally:
            await runner.aclose()
    assert isinstance(result.payload, dict)
    return result.payload, sink, result


async def answer(*pieces: bytes, **server: Any) -> tuple[JsonObject, RecordingSink, Result]:
    return await ask(OpenAIServer(raw=pieces, **server))


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((says("a\u2028b\u2029c\u0085d\x0be\x0cf"), STOP, DONE), "a\u2028b\u2029c\u0085d\x0be\x0cf"),
        ((says("a").replace(b"\n", b"\r"), says("b").replace(b"\n", b"\r\n"), STOP, DONE), "ab"),
        ((says("بحر")[:38], says("بحر")[38:], STOP, DONE), "بحر"),
        ((b"\xef\xbb\xbf" + says("x"), STOP, DONE), "x"),
        ((b'data: {"choices":[{"delta":{"content":"a\xff\xfeb"}}]}\n\n', STOP, DONE), "a\ufffd\ufffdb"),
        (
            (says(""), b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n', b": still there\n\n", STOP, DONE),
            "\ufffd",
        ),
        ((b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n', says("b"), STOP, DONE), "a\ufffdb"),
        ((b'data: {"choices":[{"delta":{"content":"\\ude00a"}}]}\n\n', STOP, DONE), "\ufffda"),
        (
            (
                b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n',
                b'data: {"choices":[{"delta":{"content":"\\ude00b"}}]}\n\n',
                STOP,
                DONE,
            ),
            "a\U0001f600b",
        ),
        ((b"data:\n\ndata: \n\nevent: x\nid: 1\nretry: 5\n\n", says("x"), STOP, b"data:[DONE]\n\n"), "x"),
        ((says("x"), STOP, USAGE), "x"),
        ((says("x"), STOP), "x"),
        ((says("x"), STOP.rstrip()), "x"),
        ((says("x"), DONE), "x"),
        ((frame({"content": None, "role": 5}), frame(None), frame([]), says("x"), STOP, DONE), "x"),
        (
            (b'data: {"choices":null}\n\ndata: {"choices":[null]}\n\ndata: {"choices":{}}\n\n', says("x"), STOP, DONE),
            "x",
        ),
        ((b'data: {"error":null,"choices":[{"delta":{"content":"x"}}]}\n\n', STOP, DONE), "x"),
        ((frame({"content": [{"type": "text", "text": "x"}]}), STOP, DONE), "x"),
    ],
)
async def test_text_arrives_however_it_is_framed(pieces: tuple[bytes, ...], text: str) -> None:
    payload, sink, _ = await answer(*pieces)
    assert payload["response"] == "".join(sink.tokens) == text
    assert payload["finish_reason"] == "stop"


async def test_an_engine_that_does_not_stream() -> None:
    body = {"choices": [{"index": 0, "message": {"content": "x\u2028y"}, "finish_reason": "length"}]}
    written = json.dumps(body, indent=1, ensure_ascii=False).encode()
    payload, sink, _ = await answer(written, content_type="application/json")
    assert payload["response"] == "".join(sink.tokens) == "x\u2028y"
    assert payload["finish_reason"] == "length"


async def test_an_answer_whose_connection_stays_open_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_openai, "_AFTERWARDS_SECONDS", 0.1)
    server = OpenAIServer(raw=(says("x"), STOP), stays=True)
    payload, _, _ = await ask(server)
    assert payload["response"] == "x"


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (says("x"),),
        (says("x"), b"data: {broken\n\n", STOP, DONE),
        (b"<html>busy</html>",),
        (says("x"), b'data: ["x"]\n\n', DONE),
        (says("x"), b'data: {"error":{"message":"died","code":500}}\n\n', DONE),
        (says("x"), b'data: {"object":"error","message":"died","code":500}\n\n', DONE),
        (b"data: " + b"[" * 100_000 + b"\n\n",),
        (b"data: " + b'{"x":1e999,"y":NaN}' + b"\n\n",),
    ],
)
async def test_what_is_no_answer_is_the_engines_failure(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(RunFailed) as failure:
        await answer(*pieces)
    assert failure.value.category is ErrorCategory.ENGINE
    assert failure.value.transient


async def test_a_refusal_within_the_stream_is_the_callers_affair() -> None:
    with pytest.raises(RunFailed, match="the engine answered 400: maximum context") as failure:
        await answer(b'data: {"error":{"message":"maximum context length is 8 tokens","code":400}}\n\n')
    assert failure.value.category is ErrorCategory.INVALID_PARAMS
    assert not failure.value.transient


GET = {"name": "get", "arguments": '{"a":1}'}
PUT = {"name": "put", "arguments": '{"b":2}'}


@pytest.mark.parametrize(
    ("pieces", "made"),
    [
        (
            ({"index": 0, "id": "c1", "function": GET}, {"index": 0, "id": "c2", "function": PUT}),
            [("c1", "get", '{"a":1}'), ("c2", "put", '{"b":2}')],
        ),
        (
            ({"id": "c1", "function": GET}, {"id": "c2", "function": GET}),
            [("c1", *GET.values()), ("c2", *GET.values())],
        ),
        (({"function": GET}, {"function": PUT}), [("call-0", *GET.values()), ("call-1", *PUT.values())]),
        (
            ({"index": 0, "function": GET}, {"index": 0, "function": GET}),
            [("call-0", *GET.values()), ("call-1", *GET.values())],
        ),
        (
            (
                {"index": 0, "id": "c1", "function": {"name": "get", "arguments": '{"a"'}},
                {"index": 0, "id": "c1", "function": {"name": "get", "arguments": ":1}"}},
            ),
            [("c1", *GET.values())],
        ),
        (
            (
                {"index": 0, "id": "c1", "function": {"name": "get", "arguments": ""}},
                {"index": 0, "id": "c2", "function": {"name": "put", "arguments": ""}},
                {"index": 0, "function": {"arguments": '{"b":2}'}},
            ),
            [("c1", "get", ""), ("c2", *PUT.values())],
        ),
        (
            ({"index": 0, "id": "c1", "function": {"name": "get", "arguments": {"a": 1, "z": {"y": "é"}}}},),
            [("c1", "get", '{"a":1,"z":{"y":"é"}}')],
        ),
        (
            (
                {"index": 1, "id": "c2", "function": PUT},
                {"index": 0, "id": "c1", "function": {"name": "g"}},
                {"index": 0, "function": {"name": "et", "arguments": '{"a":1}'}},
            ),
            [("c1", *GET.values()), ("c2", *PUT.values())],
        ),
        (
            ({"index": "0", "id": 5, "function": GET}, {"function": None}, {"index": None, "id": None}),
            [("call-0", *GET.values())],
        ),
    ],
)
async def test_calls_of_tools_are_told_apart(pieces: tuple[JsonObject, ...], made: list[tuple[str, str, str]]) -> None:
    payload, _, _ = await answer(frame({"tool_calls": None}), frame({"tool_calls": "x"}), *calls(*pieces), STOP, DONE)
    found: Any = payload["tool_calls"]
    assert [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in found] == made


async def test_what_else_is_said_is_kept() -> None:
    logprobs = {"content": [{"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    payload, _, result = await answer(
        frame({"reasoning_content": "so ", "reasoning": "so "}),
        frame({"reasoning": "on"}),
        frame({"content": "x"}, logprobs=logprobs),
        b'data: {"choices":[{"delta":{"content":"y"},"logprobs":{"content":[{"token":"y","logprob":-Infinity}]}}]}\n\n',
        frame({"refusal": "no"}),
        b'data: {"choices":[{"index":1,"delta":{"content":"not asked for"}}],"system_fingerprint":"fp_1"}\n\n',
        STOP,
        b'data: {"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}\n\n',
        DONE,
    )
    kept = {
        "response": "xy",
        "reasoning_content": "so on",
        "refusal": "no",
        "system_fingerprint": "fp_1",
        "logprobs": {"content": [*logprobs["content"], {"token": "y", "logprob": -9999.0}]},
        "usage_details": {"prompt_tokens_details": {"cached_tokens": 1}},
    }
    assert {name: payload[name] for name in kept} == kept
    assert (result.prompt_tokens, result.completion_tokens) == (3, 2)


@pytest.mark.parametrize(
    "usage",
    [
        "null",
        "[]",
        '"many"',
        "{}",
        '{"completion_tokens":-1}',
        '{"completion_tokens":1e400}',
        '{"completion_tokens":true}',
        f'{{"completion_tokens":{2**64},"prompt_tokens":{10**400}}}',
        '{"completion_tokens":2.5,"prompt_tokens":"7"}',
    ],
)
async def test_usage_that_cannot_be_is_counted(usage: str) -> None:
    _, _, result = await answer(says("x"), says("y"), STOP, b'data: {"usage":' + usage.encode() + b"}\n\n", DONE)
    assert (result.prompt_tokens, result.completion_tokens) == (None, 2)


async def test_an_engine_that_does_not_know_stream_options_is_asked_without() -> None:
    server = OpenAIServer(refuses_stream_options=True)
    async with server.serving():
        runner = EngineRunner(OpenAIEngine(server.url))
        for _ in range(2):
            work = Work("job-1", 1, JobType.VLLM_SERVE, 20, params={"prompt": "Hi"})
            assert (await runner.run(work, RecordingSink())).completion_tokens == 5
        await runner.aclose()
    # Found out once, and not with every call.
    assert ["stream_options" in request for request in server.requests] == [True, False, False]


async def test_models_that_are_null_are_none() -> None:
    async with OpenAIServer(models=None).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        readiness = await runner.probe()
        await runner.aclose()
    assert not readiness.available
    assert readiness.reason == "the engine serves no model"
