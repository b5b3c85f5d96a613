"""What an engine says at one replica reaches the caller at the other as it was said."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from tests.contract.expect import answered
from tests.contract.inference.chat import CHAT, HELLO, Caller, begin, carrying, envelope, say_events, streaming
from tests.contract.inference.test_several_answers import RESULT, WHOLE, chunk
from tests.replicas.pair import Pair

LONG = "a long answer " * 20_000


@pytest.fixture
def daemon(pair: Pair) -> StreamDaemon:
    """A daemon on replica B that replica A knows to take calls as bytes."""
    provider = pair.add_provider(pair.b)
    daemon = carrying(pair.connect(provider, pair.b))
    pair.await_online(provider)

    def is_known() -> bool:
        return any(each.carries_bodies for each in pair.a.server.market.fleet)

    eventually(is_known, "A knowing that it takes calls as bytes")
    return daemon


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_several_answers_come_whole(pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    call = Caller(renter, pool).ask(n=2)
    lease = begin(daemon)
    whole: Json = {**WHOLE, "odd": LONG}
    say_events(daemon, lease, whole, is_last=True)
    daemon.finish(lease, RESULT, prompt_tokens=2, completion_tokens=2)
    answer = answered(call.result())
    assert (answer["choices"], answer["odd"]) == (WHOLE["choices"], LONG)
    assert renter.wallet()["balance_halala"] == 999


def test_a_stream_comes_as_it_was_said(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon)
    ends = [chunk(index, "", finish_reason="stop") for index in (0, 1)]
    with streaming(pair.a.rest, renter.key, n=2) as chunks:
        lease = beginning.result()
        say_events(daemon, lease, chunk(0, "one", odd="0"), chunk(1, "two"))
        assert [chunks.next()["choices"] for _ in range(2)] == [
            chunk(0, "one", odd="0")["choices"],
            chunk(1, "two")["choices"],
        ]
        say_events(daemon, lease, *ends, offset=2, is_last=True)
        daemon.finish(lease, RESULT, prompt_tokens=2, completion_tokens=2)
        assert [chunks.next()["choices"] for _ in range(2)] == [end["choices"] for end in ends]
        assert list(chunks) == ["[DONE]"]
    assert renter.wallet()["balance_halala"] == 999


def test_a_daemon_elsewhere_that_passes_on_text_alone_is_not_asked(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.b)
    pair.connect(provider, pair.b)
    pair.await_online(provider)
    eventually(lambda: pair.a.rest.get("/v1/models").json()["data"], "the model being known on A")
    envelope(renter.post(CHAT, {**HELLO, "n": 2}), 503, "model_not_served")
