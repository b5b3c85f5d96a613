"""What a /v1 call costs: reported tokens within what is possible, and what was relayed where nobody reported."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, show
from tests.contract.inference.chat import CHAT, HELLO, TOKENS, Caller, begin, envelope, finish, streaming

# A halala a token, so that every token shows in the bill.
pytestmark = pytest.mark.settings(token_prices={MODEL: 1_000_000})

DAILY, EXPORT = "/renters/me/usage/daily", "/renters/me/usage/export"

ASKED = "How deep is the sea here"
"""24 bytes: at most 24 tokens, and 6 where nobody counted."""


def messages() -> list[Json]:
    return [{"role": "user", "content": ASKED}]


def bill(renter: Renter, job: int = 1) -> tuple[int, int, int]:
    """Prompt tokens, completion tokens and what was charged."""
    shown = show(renter.job(job), "prompt_tokens", "completion_tokens", "actual_cost_halala")
    return shown["prompt_tokens"] or 0, shown["completion_tokens"] or 0, shown["actual_cost_halala"]


@pytest.mark.parametrize(
    ("answer", "said", "charged"),
    [
        pytest.param("", (2**32 - 1, 2**32 - 1), (24, 0, 24), id="nothing was answered"),
        pytest.param("Deep", (24, 2**32 - 1), (24, 4, 28), id="a token is a byte at least"),
        pytest.param("بحر", (20, 6), (20, 6, 26), id="bytes of UTF-8 count, not characters"),
        pytest.param("x" * 90, (3, 90), (3, 50, 53), id="more than max_tokens"),
        pytest.param("Deep", (6, 2), (6, 2, 8), id="what is possible is believed"),
    ],
)
def test_reported_tokens_are_believed_within_what_is_possible(
    renter: Renter,
    daemon: StreamDaemon,
    caller: Caller,
    answer: str,
    said: tuple[int, int],
    charged: tuple[int, int, int],
) -> None:
    """Market 4."""
    call = caller.ask(messages=messages(), max_tokens=50)
    prompt, completion = said
    daemon.finish(begin(daemon), {"response": answer}, prompt_tokens=prompt, completion_tokens=completion)
    usage = answered(call.result())["usage"]
    assert bill(renter) == charged
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == charged[:2]
    assert renter.balance() == 1000 - charged[2]


@pytest.mark.parametrize(
    ("said", "charged"),
    [
        pytest.param({}, (6, 3, 9), id="neither"),
        pytest.param({"completion_tokens": 4}, (6, 4, 10), id="the prompt's"),
        pytest.param({"prompt_tokens": 5}, (5, 3, 8), id="the answer's"),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0, 0), id="nothing is a count"),
    ],
)
def test_what_nobody_counted_is_taken_to_be_as_long_as_usual(
    renter: Renter, daemon: StreamDaemon, caller: Caller, said: Json, charged: tuple[int, int, int]
) -> None:
    """Contract 7, vector 75."""
    call = caller.ask(messages=messages(), max_tokens=50)
    daemon.finish(begin(daemon), {"response": "Very deep."}, **said)
    usage = answered(call.result())["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == charged[:2]
    assert bill(renter) == charged


@pytest.mark.settings(token_prices={MODEL: 1_000}, starter_credit_halala=1_000)
def test_a_long_answer_in_one_piece_is_paid(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    """Contract 7, vector 76."""
    call = caller.ask(messages=messages())
    lease = begin(daemon)
    # 24 bytes and 8,192 tokens at a thousandth of a halala, where a stream would be cut at 4,096.
    assert renter.wallet()["held_halala"] == 9
    daemon.finish(lease, {"response": "x" * 40_000}, prompt_tokens=6, completion_tokens=10_000)
    answered(call.result())
    assert bill(renter) == (6, 8192, 9)


def test_a_cut_is_said_on_the_job(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(messages=messages(), max_tokens=50)
    daemon.finish(begin(daemon), {"response": "Deep"}, prompt_tokens=30, completion_tokens=7)
    call.result()
    events = answered(renter.get("/jobs/1/lifecycle"))["events"]
    (said,) = [event["message"] for event in events if event["event_type"] == "job.completed"]
    assert said == "The provider reported 30 + 7 tokens; 24 + 4 are possible and charged"


def test_calls_of_tools_are_bytes_too(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    made = {"id": "c1", "type": "function", "function": {"name": "depth", "arguments": "{}"}}
    call = caller.ask(messages=messages(), max_tokens=50)
    daemon.finish(begin(daemon), {"response": "", "tool_calls": [made]}, prompt_tokens=9, completion_tokens=20)
    call.result()
    assert bill(renter) == (9, 20, 29)


@pytest.mark.parametrize(
    ("key", "value", "size"),
    [
        ("tools", [{"type": "function", "function": {"name": "depth", "description": "x" * 300}}], 366),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x" * 300}}, 348),
        ("tool_prompt", "x" * 300, 300),
        ("user", "x" * 300, 0),
        ("seed", 7, 0),
    ],
)
def test_whatever_the_model_reads_is_prompt(
    renter: Renter, daemon: StreamDaemon, caller: Caller, key: str, value: Any, size: int
) -> None:
    call = caller.ask(messages=messages(), max_tokens=50, **{key: value})
    lease = begin(daemon)
    assert renter.job(1)["cost_halala"] == 24 + size + 50
    daemon.finish(lease, {"response": "Deep"}, prompt_tokens=900, completion_tokens=1)
    call.result()
    assert bill(renter) == (24 + size, 1, 25 + size)


def test_names_that_are_none_of_the_api_are_read_too(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(messages=[{**messages()[0], "x" * 300: 1}], max_tokens=50)
    daemon.finish(begin(daemon), {"response": "Deep"}, prompt_tokens=900, completion_tokens=1)
    call.result()
    assert bill(renter) == (325, 1, 326)


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_reasoning_that_is_paid_for_is_in_the_answer(
    renter: Renter, daemon: StreamDaemon, caller: Caller, key: str
) -> None:
    call = caller.ask(messages=messages(), max_tokens=50)
    daemon.finish(begin(daemon), {"response": "Deep", key: "Hm."}, prompt_tokens=9, completion_tokens=50)
    assert answered(call.result())["choices"][0]["message"]["reasoning_content"] == "Hm."
    assert bill(renter) == (9, 7, 16)


def test_streamed_reasoning_that_is_paid_for_is_in_the_answer(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    ending = pool.submit(
        lambda: daemon.finish(begin(daemon), {"response": "Deep", "reasoning": "Hm."}, completion_tokens=50)
    )
    with streaming(market.rest, renter.key, messages=messages(), max_tokens=50) as chunks:
        assert any('"reasoning_content":"Hm."' in event for event in chunks)
    ending.result()
    assert bill(renter) == (6, 7, 13)


@pytest.mark.parametrize(
    "hidden", [{"reasoning": ["x" * 90]}, {"tool_calls": ["x" * 90]}, {"reasoning": {"a": "x" * 90}}]
)
def test_what_the_caller_is_not_given_is_not_paid_for(
    renter: Renter, daemon: StreamDaemon, caller: Caller, hidden: Json
) -> None:
    call = caller.ask(messages=messages(), max_tokens=50)
    daemon.finish(begin(daemon), {"response": "Deep", **hidden}, prompt_tokens=0, completion_tokens=50)
    assert "x" * 90 not in call.result().text
    assert bill(renter) == (0, 4, 4)


def test_text_behind_a_gap_is_not_relayed_and_not_paid_for(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "Very")
    with streaming(market.rest, renter.key, messages=messages(), max_tokens=50) as chunks:
        lease = beginning.result()
        daemon.send_tokens(lease, "x" * 40, offset=5)
        chunks.say("Very")
        answered(renter.cancel(1))
    assert bill(renter) == (6, 1, 7)


@contextmanager
def calling(market: LocalMarket, renter: Renter, **changes: Any) -> Iterator[socket.socket]:
    """A call whose caller hangs up with the block."""
    body = json.dumps({**HELLO, "messages": messages(), "max_tokens": 50, **changes})
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-renter-key: {renter.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    host, port = market.edge.target.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall((head + body).encode())
        yield connection


def test_who_hangs_up_before_an_answer_in_one_piece_pays_nothing(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon
) -> None:
    with calling(market, renter):
        begin(daemon, "Very", " deep", " here")
        daemon.beat()
        left_at = time.monotonic()
    assert daemon.expect("stop").reason == pb.STOP_REASON_CANCELLED
    # At once: a provider works for nothing no longer than the news takes.
    assert time.monotonic() - left_at < 2
    eventually(lambda: renter.job(1)["status"] == "cancelled", "the end of the call")
    assert renter.balance() == 1000


def test_who_hangs_up_pays_what_was_relayed(market: LocalMarket, renter: Renter, daemon: StreamDaemon) -> None:
    with calling(market, renter, stream=True) as connection:
        begin(daemon, "Very", " deep", " here")
        said = b""
        while b"here" not in said:
            said += connection.recv(4096)
        assert b"200 OK" in said
    assert daemon.expect("stop").reason == pb.STOP_REASON_CANCELLED
    assert bill(renter) == (6, 3, 9)
    assert renter.balance() == 991
    assert renter.job(1)["provider_earned_halala"] == 7


@pytest.mark.parametrize("end", ["cancel", "complete"])
def test_who_ends_a_call_by_hand_after_reading_pays_what_was_relayed(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, end: str
) -> None:
    beginning = pool.submit(begin, daemon, "Very", " deep")
    with streaming(market.rest, renter.key, messages=messages(), max_tokens=50) as chunks:
        chunks.say("Very deep")
        beginning.result()
        answered(renter.cancel(1) if end == "cancel" else renter.post("/jobs/1/complete"))
    assert bill(renter) == (6, 2, 8)
    assert answered(renter.get("/renters/me/usage"))["totals"]["total_cost_halala"] == 8


def test_text_that_is_sent_twice_is_paid_once(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "Very")
    with streaming(market.rest, renter.key, messages=messages(), max_tokens=50) as chunks:
        lease = beginning.result()
        for _ in range(4):
            daemon.send_tokens(lease, "Very", offset=0)
        daemon.send_tokens(lease, "Very deep", offset=0)
        chunks.say("Very deep")
        answered(renter.cancel(1))
    assert bill(renter) == (6, 2, 8)


def test_a_provider_lost_after_the_first_token_is_paid_for_it(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "Very")
    with streaming(market.rest, renter.key, messages=messages(), max_tokens=50) as chunks:
        chunks.say("Very")
        beginning.result()
        market.cut(daemon)
        market.advance(11, silent=market.daemons)
        eventually(lambda: renter.job(1)["status"] == "failed")
    assert bill(renter) == (6, 1, 7)


def test_before_the_first_token_nothing_is_charged(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask(messages=messages(), max_tokens=50)
    begin(daemon)
    answered(renter.cancel(1))
    envelope(call.result(), 503, "provider_unavailable")
    assert bill(renter) == (0, 0, 0)
    assert renter.balance() == 1000


def test_calls_are_counted_by_day_key_and_model(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    made = answered(renter.post("/renters/me/keys", {}), 201)
    scoped = Renter(market.rest, renter.id, made["key"])
    for caller in (renter, renter, scoped):
        call = Caller(caller, pool).ask(max_tokens=50)
        finish(daemon, begin(daemon))
        answered(call.result())
    rows = answered(renter.get(DAILY))["usage"]
    day = market.now()[:10]
    cost = sum(TOKENS.values())
    common = {"day": day, "model": MODEL.lower(), "cached_tokens": 0}
    assert sorted(rows, key=lambda row: -row["calls"]) == [
        {
            **common,
            "key_id": key_id,
            "calls": calls,
            "prompt_tokens": calls * TOKENS["prompt_tokens"],
            "completion_tokens": calls * TOKENS["completion_tokens"],
            "cost_halala": calls * cost,
        }
        for key_id, calls in (("master", 2), (made["id"], 1))
    ]
    only = answered(renter.get(DAILY, params={"key_id": made["id"], "model": MODEL.upper()}))["usage"]
    assert [row["key_id"] for row in only] == [made["id"]]
    assert answered(renter.get(DAILY, params={"model": "other"}))["usage"] == []
    first = answered(renter.get(DAILY, params={"limit": 1}))
    assert (len(first["usage"]), first["pagination"]["has_more"]) == (1, True)
    head, *lines = renter.get(EXPORT).text.splitlines()
    assert head.startswith("day,key_id,model,calls,")
    assert sorted(lines) == sorted(
        f"{day},{row['key_id']},{MODEL.lower()},{row['calls']},{row['prompt_tokens']},{row['completion_tokens']},0,"
        f"{row['cost_halala']}"
        for row in rows
    )
    assert answered(market.add_renter().get(DAILY))["usage"] == []
