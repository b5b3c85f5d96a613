"""Calls for several answers: whole, or not at all and free."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered, show
from tests.contract.inference.chat import (
    CHAT,
    HELLO,
    TOKENS,
    Caller,
    begin,
    begin_saying,
    carrying,
    envelope,
    say_events,
    streaming,
)

UNCHARGED = {"balance_halala": 1000, "held_halala": 0}
WHOLE: Json = {
    "choices": [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for index, text in enumerate(("one", "two"))
    ],
    "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
}
RESULT: Json = {"type": "text", "response": "one", "finish_reason": "stop"}


def chunk(index: int, text: str, **more: str) -> Json:
    return {"choices": [{"index": index, "delta": {"content": text}, **more}]}


def test_all_of_them_are_answered(daemon: StreamDaemon, caller: Caller, renter: Renter) -> None:
    carrying(daemon)
    call = caller.ask(n=2)
    lease = begin(daemon)
    say_events(daemon, lease, WHOLE, is_last=True)
    daemon.finish(lease, RESULT, prompt_tokens=2, completion_tokens=2)
    choices = answered(call.result())["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["one", "two"]
    assert renter.wallet()["balance_halala"] == 999


def test_a_daemon_that_passes_on_text_alone_is_not_asked(daemon: StreamDaemon, renter: Renter) -> None:
    daemon.beat()
    envelope(renter.post(CHAT, {**HELLO, "n": 2}), 503, "model_not_served")
    assert show(renter.wallet(), *UNCHARGED) == UNCHARGED


def test_one_that_failed_goes_on_to_no_daemon_that_passes_on_text_alone(
    market: LocalMarket, daemon: StreamDaemon, caller: Caller, renter: Renter
) -> None:
    carrying(daemon)
    old, other = (market.connect(market.add_provider()) for _ in range(2))
    old.beat()
    call = caller.ask(n=2)
    lease = begin(daemon)
    carrying(other)
    daemon.fail(lease, "the engine is gone", category="engine", transient=True)
    lease = begin(other)
    say_events(other, lease, WHOLE, is_last=True)
    other.finish(lease, RESULT, prompt_tokens=2, completion_tokens=2)
    assert len(answered(call.result())["choices"]) == 2
    assert renter.job(1)["retry_count"] == 1


@pytest.mark.parametrize("offset", [0, 1], ids=["the end is missing", "the beginning is missing"])
def test_what_does_not_come_whole_is_free(daemon: StreamDaemon, caller: Caller, renter: Renter, offset: int) -> None:
    carrying(daemon)
    call = caller.ask(n=2)
    lease = begin(daemon)
    say_events(daemon, lease, WHOLE, offset=offset, is_last=offset > 0)
    daemon.finish(lease, RESULT, **TOKENS)
    envelope(call.result(), 503, "provider_unavailable")
    assert show(renter.wallet(), *UNCHARGED) == UNCHARGED


def test_a_stream_that_lost_a_part_is_free(
    market: LocalMarket, daemon: StreamDaemon, renter: Renter, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin_saying, carrying(daemon), chunk(0, "one"))
    with streaming(market.rest, renter.key, n=2) as chunks:
        lease = beginning.result()
        assert chunks.next()["choices"][0]["delta"]["content"] == "one"
        say_events(daemon, lease, chunk(1, "two", finish_reason="stop"), offset=2, is_last=True)
        daemon.finish(lease, RESULT, **TOKENS)
        assert chunks.next()["error"]["code"] == "provider_unavailable"
    assert show(renter.wallet(), *UNCHARGED) == UNCHARGED
