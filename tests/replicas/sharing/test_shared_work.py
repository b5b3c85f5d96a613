"""A job that one replica serves is in the memory of no other, which knows how much of a machine is taken."""

from functools import partial

import pytest

from dc1.control.control_plane import ControlPlane
from dc1.storage.cluster import change_feed
from dc1.storage.engine.database import Connection
from dc1.testing.people import Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.replicas.pair import Pair


@pytest.fixture
def served_at_a(pair: Pair) -> tuple[PollDaemon, StreamDaemon]:
    """A machine whose stream replica A holds, and B knows it."""
    provider = pair.add_provider(pair.a)
    daemon = pair.connect(provider, pair.a)
    eventually(partial(is_elsewhere, pair.b.server.market, provider.id), "B knowing who holds the stream")
    return provider, daemon


def is_elsewhere(plane: ControlPlane, provider_id: int) -> bool:
    provider = plane.fleet.get(provider_id)
    return provider is not None and provider.stream_replica is not None


def taken(plane: ControlPlane, provider_id: int) -> tuple[int, int, int]:
    """How many jobs are known one by one, how many others run, and how much of the machine is taken."""
    provider = plane.fleet.get(provider_id)
    assert provider is not None
    return len(plane.leases), plane.replicas.jobs_elsewhere(provider_id)[1], provider.gpus_held


def test_of_a_job_that_runs_elsewhere_it_is_known_what_it_takes_and_a_cancel_reaches_it(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    plane = pair.b.server.market
    eventually(lambda: taken(plane, provider.id) == (0, 1, 1), "B counting what is taken")
    health = answered(pair.b.admin.get("/admin/fleet/health"))
    assert [each["jobs_running"] for each in health["providers"]] == [1]

    pair.b.renter(renter).cancel(job["id"])

    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (lease, pb.STOP_REASON_CANCELLED)
    eventually(lambda: taken(plane, provider.id) == (0, 0, 0), "B counting that nothing is taken")


def test_jobs_that_come_and_go_elsewhere_are_never_read(
    pair: Pair,
    renter: Renter,
    served_at_a: tuple[PollDaemon, StreamDaemon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, daemon = served_at_a
    read: list[int] = []
    followed = change_feed.followed

    def noted(conn: Connection, row_ids: list[int]) -> object:
        read.extend(row_ids)
        return followed(conn, row_ids)

    monkeypatch.setattr(change_feed, "followed", noted)
    ended = pair.b.server.market.job_watch.ended
    for _ in range(3):
        renter.submit()
        daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"type": "text", "response": "ok"})
    eventually(lambda: pair.b.server.market.job_watch.ended == ended + 3, "B counting that they ended")
    assert read == []


def test_an_owner_who_asks_elsewhere_is_shown_the_job_that_runs(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    renter.submit()
    daemon.accept(daemon.expect("offer"))
    escrow = answered(pair.b.provider(provider).get("/providers/earnings"))["escrow"]
    assert (escrow["held_jobs"], escrow["locked_jobs"]) == (0, 1)


def test_a_machine_that_is_suspended_elsewhere_loses_its_run(
    pair: Pair, renter: Renter, served_at_a: tuple[PollDaemon, StreamDaemon]
) -> None:
    provider, daemon = served_at_a
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    answered(pair.b.admin.post(f"/admin/providers/{provider.id}/suspend"))
    assert daemon.expect("stop").lease == lease
    assert renter.job(job["id"])["status"] == "queued"
