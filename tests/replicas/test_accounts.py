"""An account that one replica changed is the same account on the other at once."""

import time

import grpc
import pytest

from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import AccountStatus
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import renters
from dc1.testing.people import J3, Admin, Renter, answered
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.daemons.challenged_daemon import ChallengedDaemon
from tests.replicas.pair import Pair

ROUNDS = 10


def test_a_provider_registered_and_approved_on_one_replica_connects_to_the_other_at_once(pair: Pair) -> None:
    for _ in range(ROUNDS):
        provider = pair.add_provider(pair.a)
        daemon = pair.connect(provider, pair.b)
        assert daemon.beat().sequence == 1
        daemon.cut()


def test_a_provider_registered_and_approved_on_one_replica_polls_the_other_at_once(pair: Pair, renter: Renter) -> None:
    for _ in range(ROUNDS):
        provider = pair.b.provider(pair.add_provider(pair.a))
        provider.heartbeat()
        assert provider.liveness() == "online"
        job = pair.b.renter(renter).submit(duration_minutes=1, provider_id=provider.id)
        assert provider.next()["id"] == job["id"]
        provider.result(job["id"])


def test_a_heartbeat_is_not_forgotten_when_older_news_of_the_provider_is_read(pair: Pair) -> None:
    """Both replicas read the approval back from the database after the heartbeat was taken."""
    provider = pair.add_provider(pair.a)
    provider.heartbeat()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        assert provider.liveness() == "online"
    pair.await_online(provider)


def test_a_poll_on_one_replica_finds_the_job_that_the_other_has_just_given_out(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.a)
    provider.heartbeat()
    pair.await_online(provider)
    there = pair.b.provider(provider)
    for _ in range(ROUNDS):
        job = renter.submit(duration_minutes=1)
        handed_out: Json = eventually(lambda: there.ask()["job"], "the job", 3)
        assert handed_out["id"] == job["id"]
        there.result(job["id"])


def test_an_operator_revoked_on_one_replica_is_one_no_more_on_the_other(pair: Pair) -> None:
    made = answered(pair.a.admin.post("/admin/operators", {"name": "sara", "role": "viewer"}), 201)
    there = Admin(pair.b.rest, made["token"])
    eventually(lambda: there.get("/admin/overview").status_code == 200, "the other replica knowing the operator")
    with pair.b.rest.stream("/admin/queue/stream", key=there.token) as stream:
        lines = stream.iter_lines()
        assert next(lines)
        path = f"/admin/operators/{made['operator']['id']}"
        answered(pair.a.rest.rest("DELETE", path, key=pair.a.admin.token))
        eventually(lambda: there.get("/admin/overview").status_code == 401, "the other replica refusing the token")
        # It would go on for ever; nothing but its end ends this.
        assert [line for line in lines if "error" in line.lower()] == []


def test_a_provider_rejected_on_one_replica_loses_its_stream_on_the_other(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.a)
    daemon = pair.connect(provider, pair.b)
    job = renter.submit()
    daemon.accept(daemon.expect("offer"))
    answered(pair.a.admin.patch(f"/admin/providers/{provider.id}/reject", {"reason": "its fans are too loud"}))
    assert daemon.expect("reconnect").reason == pb.RECONNECT_REASON_ACCESS_REVOKED
    eventually(lambda: renter.job(job["id"])["status"] == "queued", "the job waiting for another")

    _refused(pair, provider, grpc.StatusCode.PERMISSION_DENIED)


def _refused(pair: Pair, provider: PollDaemon, code: grpc.StatusCode) -> None:
    """A stream to replica B is ended with this code."""
    refused = StreamDaemon(pair.b.target, provider.key, REPORT)
    refused.send(hello=pb.Hello(instance_id="scripted", state=refused.state))
    end = refused.ended()
    refused.close()
    assert isinstance(end, grpc.Call)
    assert end.code() is code


def test_a_provider_paused_on_one_replica_is_given_nothing_by_the_other(pair: Pair, renter: Renter) -> None:
    provider = pair.add_provider(pair.a)
    daemon = pair.connect(provider, pair.b)
    answered(provider.post("/providers/pause"))
    assert eventually(lambda: daemon.beat().paused, "the pause being known")
    waiting = renter.submit()
    assert waiting["status"] == "queued"
    answered(provider.post("/providers/resume"))
    assert daemon.expect("offer").assignment.job_id == waiting["job_id"]


@pytest.mark.parametrize("how", ["its key is revoked", "its account is suspended"])
def test_a_renter_turned_away_by_one_replica_is_turned_away_by_the_other(pair: Pair, renter: Renter, how: str) -> None:
    """B has the key in memory, where it would be good for minutes."""
    there = pair.b.renter(renter)
    assert there.balance() == 1000
    now_ms = int(time.time() * 1000)
    if how == "its key is revoked":
        pair.a.store(lambda conn: key_rows.revoke_all(conn, KeyRole.RENTER, renter.id, now_ms))
    else:
        pair.a.store(lambda conn: renters.set_status(conn, renter.id, AccountStatus.SUSPENDED))
    eventually(lambda: there.try_submit().status_code in (401, 403), "the renter being turned away")


def test_a_provider_whose_key_an_admin_replaces_on_one_replica_loses_its_stream_on_the_other(pair: Pair) -> None:
    provider = pair.add_provider(pair.a)
    daemon = pair.connect(provider, pair.b)
    answered(pair.a.admin.post(f"/admin/providers/{provider.id}/rotate-key"))
    assert daemon.expect("reconnect").reason == pb.RECONNECT_REASON_ACCESS_REVOKED
    _refused(pair, provider, grpc.StatusCode.UNAUTHENTICATED)


def test_a_machine_added_on_one_replica_works_on_the_other_until_it_is_removed(pair: Pair, renter: Renter) -> None:
    owner = pair.add_provider(pair.a)
    sent = {"name": "Second", "gpu_model": "RTX 4090"}
    added = answered(owner.post("/providers/me/machines", sent), 201)
    machine_id = added["provider_id"]
    pair.a.admin.approve(machine_id)
    machine = PollDaemon(pair.b.rest, machine_id, added["api_key"])
    daemon = pair.connect(machine, pair.b)
    listed = answered(pair.b.provider(owner).get("/providers/me/machines"))
    assert [item["id"] for item in listed["machines"]] == [owner.id, machine_id]
    answered(pair.a.admin.post(f"/admin/providers/{owner.id}/suspend"))
    assert eventually(lambda: daemon.beat().suspended, "the suspension of its owner being known")
    answered(pair.a.admin.post(f"/admin/providers/{owner.id}/unsuspend"))
    eventually(lambda: not daemon.beat().suspended, "its end being known")
    job = renter.submit(provider_id=machine_id)
    daemon.finish(daemon.accept(daemon.expect("offer")).lease, {"type": "text", "response": "ok"})
    eventually(lambda: renter.job(job["id"])["status"] == "completed", "the job being completed")
    earned = answered(owner.get("/providers/earnings"))["total_earned_halala"]
    assert earned > 0
    answered(owner.delete(f"/providers/me/machines/{machine_id}"))
    assert daemon.expect("reconnect").reason == pb.RECONNECT_REASON_ACCESS_REVOKED
    assert answered(owner.get("/providers/earnings"))["total_earned_halala"] == earned


def test_a_challenge_is_answered_where_it_was_given(pair: Pair) -> None:
    """A daemon whose calls are spread asks again until it meets that server, and no other begins a probe of its own."""
    challenged = ChallengedDaemon(pair.add_provider(pair.a))
    challenged.daemon.heartbeat({"gpu_status": {"gpus_present": 0, "daemon_version": "3.3.0"}})
    assert challenged.ask() == {"pending": False}
    answered(pair.a.admin.post(f"/admin/providers/{challenged.daemon.id}/probe"))
    asked = challenged.ask()
    there = ChallengedDaemon(pair.b.provider(challenged.daemon))
    assert there.ask(asked["challenge_id"]) == {"pending": False}
    body = {"challenge_id": asked["challenge_id"], **(challenged.answer(asked) or {})}
    assert there.submit(body) == {"pending": False}
    assert there.verdict["flags"] == ["unknown_challenge"]
    assert "begin" in challenged.submit(body)


def test_an_ask_that_is_changed_on_one_replica_is_quoted_and_held_on_the_other(pair: Pair) -> None:
    provider = pair.add_provider(pair.a)
    provider.heartbeat()
    renter = pair.b.renter(pair.add_renter(pair.a))
    quoted = answered(renter.post("/jobs/estimate", J3))["quote_halala"]
    answered(provider.post("/providers/preferences", {"ask": 2}))
    eventually(
        lambda: answered(renter.post("/jobs/estimate", J3))["quote_halala"] == 2 * quoted, "the ask being known", 3
    )
    assert renter.submit()["cost_halala"] == 2 * quoted
