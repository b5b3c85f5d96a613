"""A /v1 call on one replica, answered by a daemon whose stream is on the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.people import Renter
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, show
from tests.contract.inference.chat import CHAT, HELLO, Caller, begin, envelope, finish, serve, streaming
from tests.replicas.pair import Pair


@pytest.fixture
def daemon(pair: Pair) -> StreamDaemon:
    """A daemon on replica B that replica A has heard of."""
    provider = pair.add_provider(pair.b)
    daemon = pair.connect(provider, pair.b)
    pair.await_online(provider)
    eventually(lambda: pair.a.rest.get("/v1/models").json()["data"], "the model being known on A")
    return daemon


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_it_is_answered(pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    for _ in range(3):
        call = Caller(renter, pool).ask()
        serve(daemon, "Hello ", "there")
        assert answered(call.result())["choices"][0]["message"]["content"] == "Hello there"
    # A few tokens each: the halala of the first call pays for all three, whichever server settles them.
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 999, "held_halala": 0}


def test_it_is_streamed(pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor) -> None:
    beginning = pool.submit(begin, daemon, "One")
    with streaming(pair.a.rest, renter.key) as chunks:
        chunks.say("One")
        lease = beginning.result()
        daemon.send_tokens(lease, " two", offset=3)
        chunks.say(" two")
        finish(daemon, lease, "One two three")
        chunks.say(" three")


def test_a_caller_who_leaves_stops_it(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    beginning = pool.submit(begin, daemon, "One")
    with streaming(pair.a.rest, renter.key) as chunks:
        chunks.say("One")
    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (beginning.result(), pb.STOP_REASON_CANCELLED)
    # The word that was said at B is paid at A.
    eventually(lambda: renter.job(1)["status"] == "cancelled", "the end of the call")
    assert renter.wallet()["balance_halala"] == 999


@pytest.mark.parametrize("replica", ["a", "b"])
def test_it_is_paid_at_whichever_replica_it_is_cancelled(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor, replica: str
) -> None:
    beginning = pool.submit(begin, daemon, "One")
    with streaming(pair.a.rest, renter.key) as chunks:
        chunks.say("One")
        beginning.result()
        canceller = renter if replica == "a" else pair.b.renter(renter)
        assert answered(canceller.cancel(1))["charged_halala"] == 1


def test_who_loses_the_race_for_a_slot_waits_for_the_next(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    for _ in range(3):
        # At once, so that neither replica knows of the other's when it reserves.
        calls = [Caller(caller, pool).ask() for caller in (renter, pair.b.renter(renter))]
        for _ in calls:
            serve(daemon)
        for call in calls:
            answered(call.result())


@pytest.mark.settings(completion_queue_seconds=0)
def test_two_replicas_never_give_one_slot_twice(
    pair: Pair, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    at_b = pair.b.renter(renter)
    calls = [Caller(caller, pool).ask() for caller in (renter, at_b)]
    lease = begin(daemon)
    eventually(lambda: any(call.done() for call in calls), "one refusal")
    (refused,) = (call for call in calls if call.done())
    envelope(refused.result(), 503, "no_capacity_available")
    for caller in (renter, at_b):
        envelope(caller.post(CHAT, HELLO), 503, "no_capacity_available")
    finish(daemon, lease)
    (other,) = (call for call in calls if call is not refused)
    answered(other.result())
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 999, "held_halala": 0}
