"""What an engine says beside the text reaches the caller, and its refusals are the caller's affair."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, show
from tests.contract.inference.chat import ANSWER, CHAT, HELLO, TOKENS, Caller, begin, carrying, envelope, say_events

LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.5}]}
SAID = {
    **ANSWER,
    "refusal": "I would rather not",
    "logprobs": LOGPROBS,
    "system_fingerprint": "fp_1",
    "usage_details": {"prompt_tokens_details": {"cached_tokens": 99, "odd": "x"}, "another": {"n": 1}},
}
CACHED = {"prompt_tokens_details": {"cached_tokens": 2}}


def test_what_else_an_engine_says(daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(logprobs=True)
    daemon.finish(begin(daemon), SAID, **TOKENS)
    body = answered(call.result())
    assert body["choices"][0]["message"]["refusal"] == SAID["refusal"]
    assert body["choices"][0]["logprobs"] == LOGPROBS
    assert body["system_fingerprint"] == "fp_1"
    assert show(body["usage"], *CACHED) == CACHED
    assert "another" not in body["usage"]

    streamed = caller.ask(logprobs=True, stream=True)
    daemon.finish(begin(daemon), SAID, **TOKENS)
    lines = [line.removeprefix("data: ") for line in streamed.result().text.splitlines() if line.startswith("data: {")]
    chunks: list[Any] = [json.loads(line) for line in lines]
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [each["delta"]["refusal"] for each in choices if "refusal" in each["delta"]] == [SAID["refusal"]]
    assert [each["logprobs"] for each in choices if "logprobs" in each] == [LOGPROBS]
    assert chunks[-1]["system_fingerprint"] == "fp_1"
    assert show(chunks[-1]["usage"], *CACHED) == CACHED


TOO_LONG = "the engine answered 400: This model's maximum context length is 4096 tokens, see http://10.0.0.7/"


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_callers_affair(
    market: LocalMarket, renter: Renter, provider: PollDaemon, daemon: StreamDaemon, caller: Caller, *, stream: bool
) -> None:
    before = provider.account()["reputation_score"]
    for words, status, code in [
        (TOO_LONG, 400, "context_length_exceeded"),
        ("the engine answered 400 (prompt too long): /srv/secret", 400, "context_length_exceeded"),
        ("the engine answered 413: too large for 10.0.0.7", 413, "invalid_request_error"),
        ("the engine answered 422: Traceback", 422, "invalid_request_error"),
        ("the engine answered 400: bad top_p", 400, "invalid_request_error"),
    ]:
        call = caller.ask(stream=stream)
        daemon.fail(begin(daemon), words, category="invalid_params")
        message = envelope(call.result(), status, code)["message"]
        assert not {"10.0.0.7", "secret", "Traceback"} & set(message.replace("/", " ").split())
    assert renter.balance() == 1000
    assert provider.account()["reputation_score"] == before
    assert market.admin.stats()["total_jobs"] == 5
    assert renter.job(1)["fault"] == "renter"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("told", "seconds"), [({"retry_after_seconds": 7}, 7), ({}, 1), ({"retry_after_seconds": 9**9}, 3600)]
)
def test_an_engine_that_is_busy_is_nobodys_fault(
    renter: Renter,
    provider: PollDaemon,
    daemon: StreamDaemon,
    caller: Caller,
    *,
    stream: bool,
    told: dict[str, int],
    seconds: int,
) -> None:
    """6.2: 429 with the engine's Retry-After."""
    before = provider.account()["reputation_score"]
    call = caller.ask(stream=stream)
    words = "the engine answered 429: slow down, 10.0.0.7"
    daemon.fail(begin(daemon), words, category="engine_busy", transient=True, refused={"engine_status": 429, **told})
    error = envelope(call.result(), 429, "rate_limit_exceeded")
    assert error["retry_after_seconds"] == seconds
    assert call.result().headers["retry-after"] == str(seconds)
    assert "10.0.0.7" not in error["message"]
    job = renter.job(1)
    assert show(job, "status", "fault", "error_category") == {
        "status": "failed",
        "fault": "market",
        "error_category": "engine_busy",
    }
    assert renter.balance() == 1000
    assert provider.account()["reputation_score"] == before


def test_what_a_refusal_says_in_numbers_goes_before_its_words(daemon: StreamDaemon, caller: Caller) -> None:
    refusals: list[tuple[Json, int, str]] = [
        ({"engine_status": 422, "engine_code": "context_length_exceeded"}, 400, "context_length_exceeded"),
        ({"engine_status": 413}, 413, "invalid_request_error"),
        ({"engine_status": 418}, 400, "invalid_request_error"),
    ]
    for told, status, code in refusals:
        call = caller.ask()
        daemon.fail(begin(daemon), "the engine answered 400: no", category="invalid_params", refused=told)
        envelope(call.result(), status, code)


@pytest.mark.parametrize(
    ("path", "asked"),
    [(CHAT, {**HELLO, "max_tokens": 4}), ("/v1/responses", {"model": MODEL, "input": "Hi", "max_output_tokens": 4})],
)
def test_a_daemon_that_passes_on_more_than_was_asked_is_ended(
    rest: Rest, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str, asked: Json
) -> None:
    """It was told and kept to the end, of which there need be none."""

    def go_on() -> pb.Stop:
        lease = begin(carrying(daemon))
        say_events(daemon, lease, *[{"choices": [{"index": 0, "delta": {"content": "x"}}]}] * 300)
        stop: pb.Stop = daemon.expect("stop")
        return stop

    going_on = pool.submit(go_on)
    answer = rest.rest("POST", path, key=renter.key, json={**asked, "stream": True})
    assert "The provider's engine goes on beyond what was asked of it" in answer.text
    assert going_on.result().reason == pb.STOP_REASON_JOB_SETTLED
    assert show(renter.job(1), "status", "fault", "actual_cost_halala") == {
        "status": "failed",
        "fault": "provider",
        "actual_cost_halala": 0,
    }
    assert renter.balance() == 1000


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/messages", {"max_tokens": 8192, "messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses", {"input": "Hi"}),
    ],
)
def test_an_answer_of_which_more_comes_than_can_be_told_is_its_providers_failure(
    rest: Rest, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, path: str, asked: Json
) -> None:
    """Its caller paid for what was passed on of it, as one who hangs up."""
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "f", "arguments": "{}"}} for at in range(1_025)]

    def go_on() -> pb.Stop:
        lease = begin(carrying(daemon))
        deltas: list[Json] = [{"content": "Hello " * 100}, {"tool_calls": calls}]
        say_events(daemon, lease, *[{"choices": [{"index": 0, "delta": delta}]} for delta in deltas])
        stop: pb.Stop = daemon.expect("stop")
        return stop

    going_on = pool.submit(go_on)
    answer = rest.rest("POST", path, key=renter.key, json={"model": MODEL, "stream": True, **asked})
    assert "more tools than can be told" in answer.text
    assert going_on.result().reason == pb.STOP_REASON_JOB_SETTLED
    assert show(renter.job(1), "status", "fault", "error_category") == {
        "status": "failed",
        "fault": "provider",
        "error_category": "engine",
    }
    assert renter.balance() == 1000
