"""/v1: models and chat completions, as a program that speaks the OpenAI API meets them."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.services.api.values import from_value
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, refused, show
from tests.contract.inference.chat import ANSWER, CHAT, HELLO, Caller, begin, detail, envelope, finish, serve, streaming

PRICES = ("halala_per_1m_tokens", "halala_per_1m_completion_tokens", "halala_per_1m_cached_tokens")
MADE = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
TOOLS_WANTED = {"type": "text", "response": "", "finish_reason": "tool_calls", "tool_calls": [MADE]}


def test_a_completion_needs_a_key_and_a_model_and_pays_by_the_token(
    market: LocalMarket, renter: Renter, provider: PollDaemon, daemon: StreamDaemon, caller: Caller
) -> None:
    """Contract 7, vector 61."""
    envelope(market.rest.post(CHAT, HELLO), 401, "authentication_required")
    envelope(renter.post(CHAT, {**HELLO, "model": "none/none"}), 404, "model_not_found")
    call = caller.ask(messages=[{"role": "user", "content": "x" * 120}])
    daemon.finish(begin(daemon), {**ANSWER, "response": "y" * 380}, prompt_tokens=120, completion_tokens=380)
    assert answered(call.result())["usage"] == {"prompt_tokens": 120, "completion_tokens": 380, "total_tokens": 500}
    assert show(renter.job(1), "actual_cost_halala", "dc1_fee_halala", "provider_earned_halala") == {
        "actual_cost_halala": 1,
        "dc1_fee_halala": 0,
        "provider_earned_halala": 1,
    }
    assert renter.balance() == 999
    assert provider.earnings()["total_earned_halala"] == 1


def test_an_answer(market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    serve(daemon)
    job = renter.job(1)
    message = {"role": "assistant", "content": "Hello there"}
    assert answered(call.result()) == {
        "id": job["job_id"],
        "object": "chat.completion",
        "created": market.clock.now_ms() // 1000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 11, "total_tokens": 13},
    }
    expected = {
        "source": "v1",
        "job_type": "llm_inference",
        "pricing_class": "standard",
        "duration_minutes": None,
        "status": "completed",
        "prompt_tokens": 2,
        "completion_tokens": 11,
        "max_retries": 2,
    }
    assert show(job, *expected) == expected
    assert answered(renter.get("/jobs/1/output"))["response"] == "Hello there"


def test_what_the_daemon_gets(daemon: StreamDaemon, caller: Caller) -> None:
    messages = [
        {"role": "system", "content": "كن موجزا"},
        {"role": "user", "content": [{"type": "text", "text": "<b>1<2</b>"}]},
    ]
    passed_on = {"top_p": 0.5, "seed": 7, "stop": ["\n", "END"], "logit_bias": {"50256": -100}, "user": "u-1"}
    call = caller.ask(
        model=MODEL.upper(), messages=messages, max_completion_tokens="64", n=1, stop_at=None, **passed_on
    )
    offer = daemon.expect("offer")
    assert offer.assignment.model.string_value == MODEL.upper()
    assert offer.assignment.job_type == "llm_inference"
    assert from_value(offer.assignment.params) == {
        "messages": messages,
        "max_tokens": 64,
        "temperature": 0.7,
        **passed_on,
    }
    finish(daemon, daemon.accept(offer).lease)
    assert answered(call.result())["model"] == MODEL.upper()


def test_a_streamed_answer(market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(stream=True)
    serve(daemon, "Hel", "lo ", "بحر")
    response = call.result()
    assert response.status_code == 200
    headers = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
    assert show(dict(response.headers), *headers) == headers
    assert response.text.startswith("data: {")
    *chunks, done = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert done == "[DONE]"
    read = [json.loads(chunk) for chunk in chunks]
    head = {
        "id": renter.job(1)["job_id"],
        "object": "chat.completion.chunk",
        "created": market.clock.now_ms() // 1000,
        "model": MODEL,
    }
    assert all(show(chunk, *head) == head for chunk in read)
    assert all(len(chunk["choices"]) == 1 for chunk in read)
    choices = [chunk["choices"][0] for chunk in read]
    assert {choice["index"] for choice in choices} == {0}
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "Hello بحر"
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    assert all("usage" not in chunk for chunk in read[:-1])
    assert read[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 11, "total_tokens": 13}


def test_text_comes_while_the_run_goes_on(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "One")
    with streaming(market.rest, renter.key) as chunks:
        chunks.say("One")
        lease = beginning.result()
        daemon.send_tokens(lease, " two")
        chunks.say(" two")
        # That a call runs is stored a moment after it began.
        eventually(lambda: renter.job(1)["status"] == "running", "the start of the run")
        # What was generated last may reach the caller in the result only.
        finish(daemon, lease, "One two three")
        chunks.say(" three")
        *_, done = chunks
    assert done == "[DONE]"


def test_text_that_got_lost_comes_with_the_result(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "One")
    with streaming(market.rest, renter.key) as chunks:
        chunks.say("One")
        lease = beginning.result()
        daemon.send_tokens(lease, "One two", offset=0)
        chunks.say(" two")
        daemon.send_tokens(lease, "four", offset=14)
        finish(daemon, lease, "One two three four")
        chunks.say(" three four")


def test_the_result_is_the_answer_whatever_came_before_it(daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    finish(daemon, begin(daemon, "Hallo", " there"), "Hello there")
    (choice,) = answered(call.result())["choices"]
    assert choice["message"]["content"] == "Hello there"


def test_tools_to_call(daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(tools=[{"type": "function", "function": {"name": "weather"}}])
    daemon.finish(begin(daemon), TOOLS_WANTED)
    (choice,) = answered(call.result())["choices"]
    assert choice["message"] == {"role": "assistant", "content": None, "tool_calls": [MADE]}
    assert choice["finish_reason"] == "tool_calls"


def test_tools_to_call_are_streamed(daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(stream=True)
    daemon.finish(begin(daemon), TOOLS_WANTED)
    chunks = [json.loads(line[6:]) for line in call.result().text.splitlines() if line.startswith("data: {")]
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"tool_calls": [{**MADE, "index": 0}]},
        {},
    ]


def test_an_answer_without_tokens_is_streamed_whole(daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(stream=True)
    serve(daemon)
    assert '"content":"Hello there"' in call.result().text


def test_a_failure_before_the_first_word_has_its_status(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(stream=True)
    daemon.fail(begin(daemon), "no such template")
    error = envelope(call.result(), 503, "provider_unavailable")
    assert error["message"] == "The provider could not answer: The run failed"
    assert renter.balance() == 1000


def test_a_failure_after_the_first_word_is_an_event(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "One")
    with streaming(market.rest, renter.key) as chunks:
        chunks.say("One")
        daemon.fail(beginning.result(), "engine died", transient=True)
        (last,) = chunks
    detail(json.loads(last)["error"], 503, "provider_unavailable")
    assert show(renter.job(1), "status", "retry_count", "refunded_halala") == {
        "status": "failed",
        "retry_count": 0,
        "refunded_halala": 1,
    }
    assert renter.balance() == 1000


@pytest.mark.parametrize("stream", [False, True])
def test_who_hangs_up_stops_the_run_and_pays_what_was_said(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, stream: bool
) -> None:
    body = json.dumps({**HELLO, "stream": stream})
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-renter-key: {renter.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    host, port = market.edge.target.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall((head + body).encode())
        lease = begin(daemon, *("One",) * stream)
        if stream:
            assert b"200 OK" in connection.recv(4096)
    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (lease, pb.STOP_REASON_CANCELLED)
    charged = int(stream)
    assert show(renter.job(1), "status", "actual_cost_halala") == {"status": "cancelled", "actual_cost_halala": charged}
    assert renter.balance() == 1000 - charged


def test_a_call_that_takes_too_long(market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    lease = begin(daemon, "Well")
    market.advance(301)
    envelope(call.result(), 504, "upstream_timeout")
    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (lease, pb.STOP_REASON_TIMED_OUT)
    # A word had been said.
    assert renter.wallet()["balance_halala"] == 999


def test_a_provider_that_is_lost_fails_the_call(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask()
    begin(daemon)
    market.cut(daemon)
    market.advance(11, silent=market.daemons)
    envelope(call.result(), 503, "provider_unavailable")
    assert renter.job(1)["status"] == "failed"
    assert renter.balance() == 1000
    # Nothing of it is left for anybody else.
    other = market.connect(market.add_provider())
    assert not other.beat().offers
    assert market.admin.stats()["active_jobs"] == 0


@pytest.mark.parametrize("answer", ["none", "decline"])
def test_an_offer_that_is_not_taken_fails_the_call(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller, answer: str
) -> None:
    call = caller.ask()
    assignment = daemon.expect("offer").assignment
    if answer == "decline":
        lease = pb.LeaseRef(job_id=assignment.job_id, attempt_number=1)
        daemon.send(decline=pb.Decline(lease=lease, reason="no memory left"))
    else:
        market.advance(16)
    envelope(call.result(), 503, "provider_unavailable")
    assert renter.job(1)["status"] == "failed"
    assert renter.balance() == 1000
    assert market.admin.stats()["active_jobs"] == 0


def test_a_call_that_its_renter_cancels(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    begin(daemon)
    assert answered(renter.cancel(1))["charged_halala"] == 0
    envelope(call.result(), 503, "provider_unavailable")


def test_a_restart_leaves_no_call_behind(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask()
    begin(daemon)
    market.restart()
    envelope(call.result(), 503, "provider_unavailable")
    assert renter.job(1)["status"] in ("cancelled", "failed")
    assert renter.balance() == 1000


def test_a_failed_call_is_not_retried(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    call = caller.ask()
    daemon.fail(begin(daemon), "no")
    call.result()
    refused(renter.post("/jobs/1/retry"), 400, "A /v1 call cannot be retried; send it again")
    refused(market.admin.post("/admin/jobs/1/requeue"), 400, "A /v1 call cannot be retried; send it again")


@pytest.mark.settings(token_prices={MODEL.upper(): 200_000})
def test_a_models_own_price(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    # 10 bytes and 490 tokens are held, 500 tokens are charged.
    call = caller.ask(messages=[{"role": "user", "content": "سلام!!"}], max_tokens=490)
    lease = begin(daemon)
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 900, "held_halala": 100}
    daemon.finish(lease, {**ANSWER, "response": "x" * 490}, prompt_tokens=10, completion_tokens=490)
    answered(call.result())
    assert show(renter.job(1), "actual_cost_halala", "dc1_fee_halala", "refunded_halala") == {
        "actual_cost_halala": 100,
        "dc1_fee_halala": 25,
        "refunded_halala": 0,
    }


def test_models(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    nothing = {"object": "list", "data": []}
    # A daemon that polls is never given a call.
    assert answered(market.rest.get("/v1/models")) == nothing
    daemon = market.connect(provider, {**REPORT, "cached_models": ["b/second"], "vllm_models": [MODEL]})
    assert answered(market.rest.get("/v1/models")) == {
        "object": "list",
        "data": [
            {
                "id": model,
                "object": "model",
                "created": market.clock.now_ms() // 1000,
                "owned_by": "dc1",
                "pricing": dict.fromkeys(PRICES, 19),
                "status": "available",
                "providers_online": 1,
                "vram_gb": 24,
                "min_gpu_vram_gb": 24,
                "avg_price_sar_per_min": 0.15,
                "context_length": 0,
                "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                "capabilities": ["chat"],
                "supported_parameters": ["max_tokens", "stop", "stream", "temperature", "top_p"],
                "ttft_ms_p50": None,
                "tokens_per_second_p50": None,
            }
            for model in ("b/second", MODEL)
        ],
    }
    one = answered(market.rest.get("/v1/models"))["data"][0]
    for spelled in ("b/second", "B/Second", "b%2Fsecond"):
        assert answered(market.rest.get(f"/v1/models/{spelled}")) == one
    missing = market.rest.get("/v1/models/b/second/third")
    envelope(missing, 404, "model_not_found")
    assert "'b/second/third'" in missing.json()["error"]["message"]
    answered(admin.post(f"/admin/providers/{provider.id}/suspend"))
    assert answered(market.rest.get("/v1/models")) == nothing
    envelope(market.rest.get("/v1/models/b/second"), 404, "model_not_found")
    answered(admin.post(f"/admin/providers/{provider.id}/unsuspend"))
    market.cut(daemon)
    assert answered(market.rest.get("/v1/models")) == nothing


def test_a_model_keeps_its_age(market: LocalMarket, provider: PollDaemon) -> None:
    first = market.clock.now_ms() // 1000
    market.connect(provider)
    # The stream says that the daemon is there; its heartbeats of a day would be 2,880 calls.
    market.advance(86_400, silent=[provider])
    market.restart()
    market.connect(provider)
    (model,) = eventually(lambda: market.rest.get("/v1/models").json()["data"], "the model")
    assert model["created"] == first


def test_no_more_is_told_as_it_comes_than_an_answer_can_be(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    pieces = ["x" * 400_000, "y" * 400_000, "z"]
    beginning = pool.submit(begin, daemon, *pieces)
    with streaming(market.rest, renter.key) as chunks:
        chunks.say(pieces[0])
        finish(daemon, beginning.result(), "".join(pieces))
        # In one piece, of the result: the two were not told before, nor kept.
        rest = chunks.next()["choices"][0]["delta"]["content"]
    assert rest == pieces[1] + pieces[2]
