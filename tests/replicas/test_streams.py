"""Daemons hold their streams on one replica, renters call another."""

import time
from functools import partial
from statistics import median

import grpc
import pytest
from sqlalchemy import text

from dc1.storage.cluster.change_feed import Notifications
from dc1.storage.engine.database import Connection
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.replicas.pair import Pair

ROUNDS = 15


def test_a_submission_on_one_replica_reaches_a_stream_on_the_other_by_push(pair: Pair, renter: Renter) -> None:
    daemon = pair.connect(pair.add_provider(pair.b), pair.b)
    milliseconds = []
    for _ in range(ROUNDS):
        submitted = time.perf_counter()
        job = renter.submit()
        offer = daemon.expect("offer")
        milliseconds.append((time.perf_counter() - submitted) * 1000)
        lease = daemon.accept(offer).lease
        assert renter.job(job["id"])["status"] == "running"
        assert daemon.finish(lease, {"type": "text", "response": "ok"}).verdict == pb.OUTCOME_VERDICT_SETTLED
        assert renter.job(job["id"])["status"] == "completed"
    print(
        f"submit on A until the offer arrives through B: median {median(milliseconds):.0f} ms, "
        f"slowest {max(milliseconds):.0f} ms of {ROUNDS}"
    )
    assert median(milliseconds) < 500, "the offers came with the rounds of a second, not by push"


def test_notifications_that_make_no_sense_do_no_harm(pair: Pair, renter: Renter) -> None:
    daemon = pair.connect(pair.add_provider(pair.b), pair.b)
    for payload in ("", "{}", "5", '{"from": "x", "tokens": [[[], 1, 2, 3]]}', "[" * 5000):
        pair.a.store(partial(notify, payload=payload))
        renter.submit()
        daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"type": "text", "response": "ok"})


def notify(conn: Connection, payload: str) -> None:
    conn.execute(text("SELECT pg_notify('dc1_changes', :payload)"), {"payload": payload})


def test_a_lost_notification_costs_a_moment_only(pair: Pair, renter: Renter, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = pair.connect(pair.add_provider(pair.b), pair.b)

    async def lost(*_: object) -> None:
        """Tell nobody."""

    monkeypatch.setattr(Notifications, "send", lost)
    for _ in range(3):
        renter.submit()
        lease = daemon.accept(daemon.expect("offer")).lease
        daemon.finish(lease, {"type": "text", "response": "ok"})


def test_a_run_that_failed_on_one_replica_goes_to_the_provider_of_the_other(pair: Pair, renter: Renter) -> None:
    accounts = [pair.add_provider(at) for at in (pair.a, pair.b)]
    loser, other = (pair.connect(account, at) for account, at in zip(accounts, (pair.a, pair.b), strict=True))
    for account in accounts:
        pair.await_online(account)
    renter.submit()
    lease = loser.accept(loser.expect("offer")).lease

    loser.fail(lease, "pull timeout", transient=True)

    assert other.expect("offer").assignment.attempt_number == 2


def test_a_job_cancelled_on_one_replica_is_stopped_on_the_other(pair: Pair, renter: Renter) -> None:
    daemon = pair.connect(pair.add_provider(pair.b), pair.b)
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    renter.cancel(job["id"])
    stop = daemon.expect("stop")
    assert (stop.lease, stop.reason) == (lease, pb.STOP_REASON_CANCELLED)
    receipt = daemon.finish(lease, {"type": "text", "response": "ok"})
    assert receipt.verdict == pb.OUTCOME_VERDICT_ALREADY_SETTLED


def test_jobs_that_wait_are_given_out_once_in_their_order(pair: Pair, renter: Renter) -> None:
    """Two replicas that dispatch from one queue never give a job twice."""
    jobs = [renter.submit(duration_minutes=1)["job_id"] for _ in range(12)]
    daemons = [pair.connect(pair.add_provider(at), at) for at in (pair.a, pair.b)]
    given: list[str] = []
    while len(given) < len(jobs):
        for daemon in daemons:
            if len(given) < len(jobs):
                offer = daemon.expect("offer")
                given.append(offer.assignment.job_id)
                assert offer.assignment.attempt_number == 1
                daemon.finish(daemon.accept(offer).lease, {"type": "text", "response": "ok"})
    assert sorted(given) == sorted(jobs)


def test_of_two_daemons_with_one_key_the_older_is_replaced(pair: Pair) -> None:
    provider = pair.add_provider(pair.a)
    older = pair.connect(provider, pair.a)
    newer = pair.connect(provider, pair.b)
    assert older.expect("reconnect").reason == pb.RECONNECT_REASON_REPLACED
    assert older.ended() is None
    assert newer.beat().sequence == 1
    assert eventually(lambda: pair.a.server.open_streams == 0, "the older stream being closed")
    assert pair.b.server.open_streams == 1


def test_a_second_daemon_is_refused_by_a_replica_while_the_first_lives_on_another(pair: Pair) -> None:
    provider = pair.add_provider(pair.a)
    first = pair.connect(provider, pair.a)
    pair.await_online(provider)
    second = pair.open_stream(provider, pair.b, instance_id="another")
    second.say_hello()
    time.sleep(0.3)
    first.beat()
    refusal = second.ended()
    assert isinstance(refusal, grpc.RpcError)
    assert refusal.code() is grpc.StatusCode.ALREADY_EXISTS
    eventually(lambda: first.beat().second_daemon_at_ms, "the first daemon hearing of it on its own replica")
    assert pair.a.server.open_streams == 1


def test_a_second_daemon_that_insists_replaces_the_first_on_another_replica(pair: Pair) -> None:
    provider = pair.add_provider(pair.a)
    first = pair.connect(provider, pair.a)
    pair.await_online(provider)
    pair.open_stream(provider, pair.b, instance_id="another").hello(take_over=True)
    assert first.expect("reconnect").reason == pb.RECONNECT_REASON_REPLACED


@pytest.mark.skewed(60)
def test_a_daemon_that_moves_to_a_replica_whose_clock_is_behind_keeps_its_stream_and_its_job(
    pair: Pair, renter: Renter
) -> None:
    """The clock of replica A is a minute ahead."""
    provider = pair.add_provider(pair.a)
    first = pair.connect(provider, pair.a)
    job = renter.submit()
    lease = first.accept(first.expect("offer")).lease

    again = StreamDaemon(pair.b.target, provider.key, REPORT)
    again.state.leases.add(lease=lease, phase=pb.LEASE_PHASE_RUNNING)
    welcome = again.hello()
    assert [start.lease for start in welcome.desired.starts] == [lease]
    assert first.expect("reconnect").reason == pb.RECONNECT_REASON_REPLACED
    # The grace of two seconds passes on both replicas.
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert not again.beat().stops
    assert again.finish(lease, {"type": "text", "response": "ok"}).verdict == pb.OUTCOME_VERDICT_SETTLED
    again.close()
    assert renter.job(job["id"])["attempt_number"] == 1


@pytest.mark.parametrize("back_on", ["the same replica", "the other replica"])
def test_a_daemon_that_comes_back_within_the_grace_keeps_its_job(pair: Pair, renter: Renter, back_on: str) -> None:
    provider = pair.add_provider(pair.b)
    first = pair.connect(provider, pair.b)
    job = renter.submit()
    lease = first.accept(first.expect("offer")).lease
    first.cut()
    eventually(lambda: pair.b.server.open_streams == 0, "the server noticing the cut")

    again = StreamDaemon((pair.b if back_on == "the same replica" else pair.a).target, provider.key, REPORT)
    again.state.leases.add(lease=lease, phase=pb.LEASE_PHASE_RUNNING)
    assert [start.lease for start in again.hello().desired.starts] == [lease]
    assert again.finish(lease, {"type": "text", "response": "ok"}).verdict == pb.OUTCOME_VERDICT_SETTLED
    again.close()
    assert renter.job(job["id"])["attempt_number"] == 1


def test_a_daemon_lost_on_one_replica_loses_its_job_to_the_other(pair: Pair, renter: Renter) -> None:
    first = pair.connect(pair.add_provider(pair.a), pair.a)
    job = renter.submit()
    first.accept(first.expect("offer"))
    second = pair.connect(pair.add_provider(pair.b), pair.b)
    first.cut()
    offer = second.expect("offer")
    assert (offer.assignment.job_id, offer.assignment.attempt_number) == (job["job_id"], 2)
    second.finish(second.accept(offer).lease, {"type": "text", "response": "ok"})
    assert renter.job(job["id"])["retry_count"] == 1


def test_an_accept_that_was_stored_through_another_replica_finds_the_run(pair: Pair, renter: Renter) -> None:
    """The daemon accepts, its stream breaks before the start arrives, and it comes back elsewhere at once."""
    provider = pair.add_provider(pair.b)
    for _ in range(8):
        first = pair.connect(provider, pair.b)
        job = renter.submit()
        offer = first.expect("offer")
        lease = pb.LeaseRef(job_id=offer.assignment.job_id, attempt_number=1)
        first.send(accept=pb.Accept(lease=lease))

        again = StreamDaemon(pair.a.target, provider.key, REPORT)
        again.state.leases.add(lease=lease, phase=pb.LEASE_PHASE_ACCEPTED)
        welcome = again.hello()
        assert [start.lease for start in welcome.desired.starts] == [lease]
        assert not welcome.desired.stops
        assert again.finish(lease, {"type": "text", "response": "ok"}).verdict == pb.OUTCOME_VERDICT_SETTLED
        assert renter.job(job["id"])["attempt_number"] == 1
        again.cut()
