"""/v1: models and chat completions, as a program that speaks the OpenAI API meets them."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, refused, show
from tests.stack.people import Renter
from tests.stack.poll_daemon import MODEL, REPORT, PollDaemon
from tests.stack.rest import Json, Rest
from tests.stack.stack import Edge, Stack
from tests.stack.stream_daemon import StreamDaemon
from tests.stack.waiting import eventually

CHAT = "/v1/chat/completions"
HELLO: Json = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
ANSWER: Json = {"type": "text", "response": "Hello there", "finish_reason": "length"}
RETRYABLE = {429, 503, 504}


@pytest.fixture
def daemon(stack: Stack, provider: PollDaemon) -> StreamDaemon:
    """P on the stream."""
    return stack.connect(provider)


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Callers who wait for their answers while the test goes on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


Ask = Callable[..., "Future[httpx.Response]"]


@pytest.fixture
def ask(renter: Renter, background: ThreadPoolExecutor) -> Ask:
    """Begin a call of R's; the answer comes when a daemon has given it."""

    def begin(**changes: Any) -> "Future[httpx.Response]":
        return background.submit(renter.post, CHAT, {**HELLO, **changes})

    return begin


def envelope(response: httpx.Response, status: int, code: str) -> Json:
    """The error of an answer that must be this one, in the envelope."""
    assert response.headers["content-type"] == "application/json"
    body = answered(response, status)
    assert set(body) == {"error"}
    error: Json = body["error"]
    assert show(error, "code", "status", "retryable") == {
        "code": code,
        "status": status,
        "retryable": status in RETRYABLE,
    }
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    return error


def serve(daemon: StreamDaemon, *pieces: str, **counts: int) -> pb.Offer:
    """Take the next call and answer it."""
    offer: pb.Offer = daemon.expect("offer")
    lease = daemon.accept(offer).lease
    for piece in pieces:
        daemon.send_tokens(lease, piece)
    tokens = {"prompt_tokens": 120, "completion_tokens": 380, **counts}
    response = "".join(pieces) or ANSWER["response"]
    assert daemon.finish(lease, {**ANSWER, "response": response}, **tokens).verdict == pb.OUTCOME_VERDICT_SETTLED
    return offer


def test_vector_61(stack: Stack, renter: Renter, provider: PollDaemon, daemon: StreamDaemon, ask: Ask) -> None:
    envelope(stack.rest.post(CHAT, HELLO), 401, "authentication_required")
    envelope(renter.post(CHAT, {**HELLO, "model": "none/none"}), 404, "model_not_found")
    call = ask()
    serve(daemon)
    answered(call.result())
    assert show(renter.job(1), "actual_cost_halala", "dc1_fee_halala", "provider_earned_halala") == {
        "actual_cost_halala": 1,
        "dc1_fee_halala": 0,
        "provider_earned_halala": 1,
    }
    assert renter.balance() == 999
    assert provider.earnings()["total_earned_halala"] == 1


def test_an_answer(stack: Stack, renter: Renter, daemon: StreamDaemon, ask: Ask) -> None:
    call = ask()
    serve(daemon)
    job = renter.job(1)
    assert answered(call.result()) == {
        "id": job["job_id"],
        "object": "chat.completion",
        "created": stack.clock.now_ms() // 1000,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "length"}
        ],
        "usage": {"prompt_tokens": 120, "completion_tokens": 380, "total_tokens": 500},
    }
    expected = {
        "source": "v1",
        "job_type": "llm_inference",
        "pricing_class": "standard",
        "duration_minutes": None,
        "status": "completed",
        "prompt_tokens": 120,
        "completion_tokens": 380,
        "max_retries": 0,
    }
    assert show(job, *expected) == expected


def test_a_streamed_answer(stack: Stack, renter: Renter, daemon: StreamDaemon, ask: Ask) -> None:
    call = ask(stream=True)
    serve(daemon, "Hel", "lo ", "بحر")
    response = call.result()
    assert response.status_code == 200
    assert show(dict(response.headers), "content-type", "cache-control", "x-accel-buffering") == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
    assert response.text.startswith("retry: 2000\ndata: {")
    *chunks, done = frames(response.text)
    assert done == "[DONE]"
    read = [json.loads(chunk) for chunk in chunks]
    head = {
        "id": renter.job(1)["job_id"],
        "object": "chat.completion.chunk",
        "created": stack.clock.now_ms() // 1000,
        "model": MODEL,
    }
    assert all(show(chunk, *head) == head for chunk in read)
    assert all(len(chunk["choices"]) == 1 and chunk["choices"][0]["index"] == 0 for chunk in read)
    choices = [chunk["choices"][0] for chunk in read]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "Hello بحر"
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    assert [chunk.get("usage") for chunk in read[:-1]] == [None] * (len(read) - 1)
    assert read[-1]["usage"] == {"prompt_tokens": 120, "completion_tokens": 380, "total_tokens": 500}


def frames(text: str) -> list[str]:
    """The data of every event."""
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
