"""Anthropic's Messages API, translated to chat: the same jobs, bills and refusals in its own words (contract 6.2)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json, Rest
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, show
from tests.contract.inference.chat import TOKENS, begin, carrying, finish, say_events, serve

MESSAGES = "/v1/messages"
HELLO: Json = {"model": MODEL, "max_tokens": 32, "messages": [{"role": "user", "content": "Hi"}]}
UNCHARGED = {"balance_halala": 1000, "held_halala": 0}


def refused_as(response: httpx.Response, status: int, kind: str) -> str:
    """The sentence of an error that must be this one, in Anthropic's shape and no other."""
    body = answered(response, status)
    assert (set(body), body["type"], set(body["error"])) == ({"type", "error"}, "error", {"type", "message"})
    assert body["error"]["type"] == kind
    message: str = body["error"]["message"]
    return message


def events(response: httpx.Response) -> Iterator[Any]:
    """The events of a streamed answer, of which each is named as its data says."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            assert event["type"] == name
            yield event


def test_an_answer_is_a_job_with_its_bill(
    market: LocalMarket, daemon: StreamDaemon, renter: Renter, pool: ThreadPoolExecutor
) -> None:
    pool.submit(serve, daemon, "Hello ", "بحر")
    headers = {"x-api-key": renter.key, "anthropic-version": "2023-06-01"}
    answer = answered(market.rest.post(MESSAGES, HELLO, headers=headers))
    assert show(answer, "type", "role", "model", "content", "stop_reason", "usage") == {
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "Hello بحر"}],
        "stop_reason": "max_tokens",
        "usage": {
            "input_tokens": 2,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 11,
        },
    }
    expected = {"source": "v1", "status": "completed", "actual_cost_halala": 1}
    assert show(renter.job(answer["id"]), *expected) == expected


def test_what_the_engine_is_asked_is_a_chat(daemon: StreamDaemon, renter: Renter, pool: ThreadPoolExecutor) -> None:
    call = pool.submit(renter.post, MESSAGES, {**HELLO, "system": "Be brief."})
    offer = carrying(daemon).expect("offer")
    asked = json.loads(offer.assignment.inference_body)
    assert offer.assignment.inference_path == "/v1/chat/completions"
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    finish(daemon, daemon.accept(offer).lease)
    answered(call.result())


def test_a_stream_tells_tools_as_they_are_made(
    rest: Rest, daemon: StreamDaemon, renter: Renter, pool: ThreadPoolExecutor
) -> None:
    def say() -> None:
        lease: pb.LeaseRef = begin(carrying(daemon))
        function: Json = {"name": "find", "arguments": '{"q":'}
        call: Json = {"index": 0, "id": "call-a", "type": "function", "function": function}
        more: Json = {"index": 0, "function": {"arguments": "1}"}}
        chunks: list[Json] = [
            {"choices": [{"index": 0, "delta": {"content": "I look"}}]},
            *({"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]} for each in (call, more)),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": TOKENS},
        ]
        say_events(daemon, lease, *chunks, is_last=True)
        daemon.finish(lease, {"type": "text", "response": "I look", "finish_reason": "tool_calls"}, **TOKENS)

    pool.submit(say)
    with rest.stream(MESSAGES, method="POST", key=renter.key, json={**HELLO, "stream": True}) as response:
        told = list(events(response))
    assert response.headers["content-type"] == "text/event-stream"
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "text_delta", "text": "I look"},
        *({"type": "input_json_delta", "partial_json": part} for part in ('{"q":', "1}")),
    ]
    assert [event["type"] for event in told[:2]] == ["message_start", "content_block_start"]
    assert [event["type"] for event in told[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    assert (told[-2]["usage"]["input_tokens"], told[-2]["usage"]["output_tokens"]) == (2, 11)


def test_what_fails_after_its_beginning_ends_with_an_error(
    rest: Rest, daemon: StreamDaemon, renter: Renter, pool: ThreadPoolExecutor
) -> None:
    begun = pool.submit(begin, daemon, "Hel")
    with rest.stream(MESSAGES, method="POST", key=renter.key, json={**HELLO, "stream": True}) as response:
        told = events(response)
        while next(told)["type"] != "content_block_delta":
            pass
        daemon.fail(begun.result(), "it broke")
        assert [event["error"]["type"] for event in told] == ["overloaded_error"]


def test_refusals_are_in_its_shape_wherever_they_come_from(market: LocalMarket, renter: Renter) -> None:
    refused_as(market.rest.post(MESSAGES, HELLO), 401, "authentication_error")
    refused_as(market.rest.post(MESSAGES, HELLO, headers={"x-api-key": "none"}), 401, "authentication_error")
    refused_as(renter.post(MESSAGES, {**HELLO, "model": "none/none"}), 404, "not_found_error")
    assert "max_tokens" in refused_as(renter.post(MESSAGES, {**HELLO, "max_tokens": 0}), 400, "invalid_request_error")
    # These three are the edge's own.
    malformed = market.rest.rest("POST", MESSAGES, content=b"{'a':1}", key=renter.key)
    assert refused_as(malformed, 400, "invalid_request_error") == "Malformed JSON body"
    refused_as(renter.post(f"{MESSAGES}/batches", {}), 404, "not_found_error")
    large = market.rest.rest("POST", MESSAGES, content=b" " * (9 * 1024 * 1024), key=renter.key)
    refused_as(large, 413, "request_too_large")


def test_tokens_are_counted_for_nothing(market: LocalMarket, daemon: StreamDaemon, renter: Renter) -> None:
    question = {"model": MODEL, "messages": [{"role": "user", "content": "x" * 41}]}
    assert answered(renter.post(f"{MESSAGES}/count_tokens", question)) == {"input_tokens": 11}
    assert show(renter.wallet(), *UNCHARGED) == UNCHARGED
    unknown = renter.post(f"{MESSAGES}/count_tokens", {**question, "model": "none/none"})
    assert "none/none" in refused_as(unknown, 404, "not_found_error")


@pytest.mark.settings(rate_limits_enabled=True, completion_requests_per_minute=1)
def test_the_limits_of_chat_hold(renter: Renter) -> None:
    unknown = {**HELLO, "model": "none/none"}
    refused_as(renter.post(MESSAGES, unknown), 404, "not_found_error")
    limited = renter.post(MESSAGES, unknown)
    refused_as(limited, 429, "rate_limit_error")
    assert int(limited.headers["retry-after"]) > 0
