"""A call under /v1 that one replica answers by a machine of its own is no other's concern, until one ends it."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.storage.cluster import change_feed
from dc1.storage.cluster.change_feed import Heard, Notifications, SharedEvent, SharedTokens
from dc1.storage.cluster.news import News
from dc1.storage.engine.database import Connection
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered
from tests.contract.inference.chat import begin, finish, streaming
from tests.replicas.pair import Pair, Replica


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def calls_at(replica: Replica, provider_id: int) -> int:
    """How many calls a replica knows a machine to have."""
    provider = replica.server.market.fleet.get(provider_id)
    assert provider is not None
    return provider.calls


def test_a_call_is_told_to_nobody_and_read_by_nobody_else(
    pair: Pair,
    renter: Renter,
    served_at_a: tuple[PollDaemon, StreamDaemon],
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, daemon = served_at_a
    told: list[Heard] = []
    read: list[int] = []
    send, read_rows = Notifications.send, change_feed.followed

    async def noted(self: Notifications, shared: Sequence[Heard] = (), *, to: str | None = None) -> None:
        told.extend(each for each in shared if isinstance(each, SharedTokens | SharedEvent))
        told.extend(each for each in shared if isinstance(each, News) and (each.jobs or each.lines or each.watch))
        await send(self, shared, to=to)

    def noted_rows(conn: Connection, row_ids: Collection[int]) -> object:
        read.extend(row_ids)
        return read_rows(conn, row_ids)

    monkeypatch.setattr(Notifications, "send", noted)
    monkeypatch.setattr(change_feed, "followed", noted_rows)
    ended = pair.b.server.market.job_watch.ended
    beginning = pool.submit(begin, daemon, "One")
    with streaming(pair.a.rest, renter.key) as chunks:
        chunks.say("One")
        eventually(lambda: calls_at(pair.b, provider.id) == 1, "B counting the call")
        assert len(pair.b.server.market.leases) == 0
        finish(daemon, beginning.result(), "One two")
        chunks.say(" two")
    eventually(lambda: pair.b.server.market.job_watch.ended == ended + 1, "B counting that it ended")
    eventually(lambda: calls_at(pair.b, provider.id) == 0, "B counting that the machine has room again")
    assert (told, read) == ([], [])


def test_a_call_that_is_cancelled_elsewhere_is_paid_by_what_it_said(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon], pool: ThreadPoolExecutor
) -> None:
    """At once, when its start is not stored yet: whoever is asked stores it."""
    _, daemon = served_at_a
    beginning = pool.submit(begin, daemon, "One")
    with streaming(pair.a.rest, renter.key) as chunks:
        chunks.say("One")
        assert answered(pair.b.renter(renter).cancel(1))["charged_halala"] == 1
    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (beginning.result(), pb.STOP_REASON_CANCELLED)


def test_a_call_whose_machine_comes_to_another_server_goes_on_from_what_it_had_said(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon], pool: ThreadPoolExecutor
) -> None:
    provider, daemon = served_at_a
    beginning = pool.submit(begin, daemon, "One")
    with streaming(pair.a.rest, renter.key) as chunks:
        chunks.say("One")
        lease = beginning.result()
        again = pair.open_stream(provider, pair.b, REPORT)
        again.state.leases.add(lease=lease, phase=pb.LEASE_PHASE_RUNNING)
        again.hello()
        again.send_tokens(lease, " two", offset=3)
        chunks.say(" two")
        (held,) = pair.b.server.market.leases
        assert (held.relayed.size_bytes, held.relayed.tokens) == (7, 2)
        finish(again, lease, "One two three")
        chunks.say(" three")


def test_of_an_engine_that_is_called_elsewhere_it_is_known_how_fast_it_is(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon], pool: ThreadPoolExecutor
) -> None:
    provider, daemon = served_at_a
    for _ in range(3):
        beginning = pool.submit(begin, daemon, "One")
        with streaming(pair.a.rest, renter.key) as chunks:
            chunks.say("One")
            daemon.send_tokens(beginning.result(), " two", offset=3)
            chunks.say(" two")
            finish(daemon, beginning.result(), "One two")
    (model,) = provider_models(pair.a, provider)
    speeds = [replica.server.market.dispatcher.speeds for replica in (pair.a, pair.b)]
    eventually(lambda: speeds[1].of(provider.id, model).calls == 3, "B knowing how fast it was")
    assert speeds[1].of(provider.id, model) == speeds[0].of(provider.id, model)


def provider_models(replica: Replica, provider: PollDaemon) -> Sequence[str]:
    known = replica.server.market.fleet.get(provider.id)
    assert known is not None
    return list(known.models)
