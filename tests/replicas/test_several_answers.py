"""What an engine says at one replica reaches the caller at the other as it was said."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered
from tests.contract.inference.chat import (
    CHAT,
    HELLO,
    Caller,
    begin,
    begin_saying,
    carrying,
    envelope,
    say_events,
    streaming,
)
from tests.contract.inference.paths import ANSWERS, BODIES, EMBEDDINGS, having_all
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
    beginning = pool.submit(begin_saying, daemon, chunk(0, "one", odd="0"), chunk(1, "two"))
    ends = [chunk(index, "", finish_reason="stop") for index in (0, 1)]
    with streaming(pair.a.rest, renter.key, n=2) as chunks:
        lease = beginning.result()
        assert [chunks.next()["choices"] for _ in range(2)] == [
            chunk(0, "one", odd="0")["choices"],
            chunk(1, "two")["choices"],
        ]
        say_events(daemon, lease, *ends, offset=2, is_last=True)
        daemon.finish(lease, RESULT, prompt_tokens=2, completion_tokens=2)
        assert [chunks.next()["choices"] for _ in range(2)] == [end["choices"] for end in ends]
        assert list(chunks) == ["[DONE]"]
    assert renter.wallet()["balance_halala"] == 999


def lose_one(pair: Pair, lease: pb.LeaseRef, row_id: int = 1) -> None:
    """Let A hear of an event before others that it needs, as it does when the notifications of those are lost."""
    said = {"from": "b", "tokens": [], "events": [[row_id, lease.attempt_number, 9, 0, "{}", True, False]]}
    pair.b.store(lambda conn: conn.execute(select(func.pg_notify("dc1_changes", json.dumps(said)))))


def test_what_a_lost_notification_had_is_delivered_all_the_same(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    call = Caller(renter, pool).ask(n=2)
    lease = begin(daemon)
    lose_one(pair, lease)
    say_events(daemon, lease, {**WHOLE, "odd": LONG}, is_last=True)
    daemon.finish(lease, RESULT, prompt_tokens=2, completion_tokens=2)
    answer = answered(call.result())
    assert (answer["choices"], answer["odd"]) == (WHOLE["choices"], LONG)
    assert renter.wallet()["balance_halala"] == 999


def test_a_stream_goes_on_where_a_notification_was_lost(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    said = [chunk(0, "one"), chunk(1, "two"), chunk(0, "three")]
    beginning = pool.submit(begin_saying, daemon, said[0])
    ends = [chunk(index, "", finish_reason="stop") for index in (0, 1)]
    with streaming(pair.a.rest, renter.key, n=2) as chunks:
        lease = beginning.result()
        assert chunks.next()["choices"] == said[0]["choices"]
        lose_one(pair, lease)
        say_events(daemon, lease, *said[1:], *ends, offset=1, is_last=True)
        daemon.finish(lease, RESULT, prompt_tokens=2, completion_tokens=3)
        told = list(chunks)
    assert [json.loads(each)["choices"] for each in told[:-1]] == [each["choices"] for each in (*said[1:], *ends)]


def test_a_daemon_elsewhere_that_passes_on_text_alone_is_not_asked(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.b)
    pair.connect(provider, pair.b)
    pair.await_online(provider)
    eventually(lambda: pair.a.rest.get("/v1/models").json()["data"], "the model being known on A")
    envelope(renter.post(CHAT, {**HELLO, "n": 2}), 503, "model_not_served")


def test_an_answer_is_delivered_from_elsewhere_and_whatever_was_lost(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.b)
    daemon = having_all(pair.connect(provider, pair.b))
    pair.await_online(provider)
    eventually(lambda: b'"embeddings"' in pair.a.rest.get("/v1/models").content, "A knowing of the path")
    with ThreadPoolExecutor(1) as pool:
        for is_lost in (False, True):
            call = pool.submit(renter.post, EMBEDDINGS, BODIES[EMBEDDINGS])
            lease = begin(daemon)
            if is_lost:
                lose_one(pair, lease, row_id=2)
            say_events(daemon, lease, ANSWERS[EMBEDDINGS], is_last=True)
            daemon.finish(lease, {"type": "x"}, prompt_tokens=5, completion_tokens=0)
            assert answered(call.result())["data"] == ANSWERS[EMBEDDINGS]["data"]
