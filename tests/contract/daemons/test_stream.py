"""A daemon on the stream: the same market as over HTTP, by push."""

import math
import time

import grpc
import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from dc1.domain.jobs.states import Phase
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon, lease_of
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, refused, show


def test_a_welcome_names_the_provider_and_the_wanted_state(market: LocalMarket, provider: PollDaemon) -> None:
    daemon = StreamDaemon(market.edge.target, provider.key, REPORT)
    welcome = daemon.hello()
    daemon.close()
    assert (welcome.provider_id, welcome.provider_name) == (1, provider.account()["name"])
    assert (welcome.desired.latest_version, welcome.desired.min_version) == ("3.3.0", "3.3.0")
    # More where the server is behind, as one that shares a busy machine may be.
    assert 10 <= welcome.desired.beat_interval_seconds <= 30


def test_a_submission_is_pushed_run_and_settled(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    job = renter.submit(params={"prompt": "اكتب"})
    offer = daemon.expect("offer")
    assert (offer.assignment.job_id, offer.assignment.attempt_number) == (job["job_id"], 1)
    assert offer.assignment.params.struct_value["prompt"] == "اكتب"
    start = daemon.accept(offer)
    assert start.seconds_left == 180
    assert renter.job(1)["status"] == "running"
    market.advance(95, silent=[provider])
    receipt = daemon.finish(start.lease, {"type": "text", "response": "ok"}, gpu_seconds=95)
    assert (receipt.verdict, receipt.provider_earned_halala) == (pb.OUTCOME_VERDICT_SETTLED, 18)
    again = daemon.finish(start.lease, {"type": "text", "response": "ok"}, gpu_seconds=95)
    assert (again.verdict, again.provider_earned_halala) == (pb.OUTCOME_VERDICT_ALREADY_SETTLED, 0)
    assert answered(renter.get("/jobs/1/output"))["response"] == "ok"
    assert renter.balance() == 976


@pytest.mark.parametrize(("seconds", "charged"), [(float("nan"), 15), (float("inf"), 15), (-1.0, 0), (1e-300, 1)])
def test_whatever_seconds_a_daemon_reports_its_run_is_settled(
    market: LocalMarket, renter: Renter, provider: PollDaemon, seconds: float, charged: int
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    market.advance(60, silent=[provider])
    receipt = daemon.finish(lease, {"type": "text", "response": "ok"}, gpu_seconds=seconds)
    assert receipt.verdict == pb.OUTCOME_VERDICT_SETTLED
    assert renter.balance() == 1000 - charged


def test_a_cancelled_run_is_stopped_at_once(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    renter.submit()
    daemon.accept(daemon.expect("offer"))
    renter.cancel(1)
    stop = daemon.expect("stop")
    assert (stop.lease.attempt_number, stop.reason) == (1, pb.STOP_REASON_CANCELLED)


def test_a_cut_streams_job_goes_to_another(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    first = market.connect(provider)
    renter.submit(provider_id=None)
    first.accept(first.expect("offer"))
    second = market.connect(market.add_provider())
    market.cut(first)
    market.advance(11, silent=market.daemons)
    offer = second.expect("offer")
    assert offer.assignment.attempt_number == 2
    receipt = second.finish(second.accept(offer).lease, {"type": "text", "response": "ok"})
    assert receipt.verdict == pb.OUTCOME_VERDICT_SETTLED
    assert show(renter.job(1), "provider_id", "retry_count", "attempt_number") == {
        "provider_id": 2,
        "retry_count": 1,
        "attempt_number": 2,
    }


def test_a_daemon_that_comes_back_within_the_grace_keeps_its_job(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    market.cut(daemon)
    market.advance(9, silent=[provider])
    back = StreamDaemon(market.edge.target, provider.key, REPORT)
    back.state.leases.add(lease=lease, phase=pb.LEASE_PHASE_RUNNING)
    welcome = back.hello()
    assert [start.lease for start in welcome.desired.starts] == [lease]
    assert back.finish(lease, {"type": "text", "response": "ok"}).verdict == pb.OUTCOME_VERDICT_SETTLED
    back.close()
    assert renter.job(1)["attempt_number"] == 1


def test_an_offer_that_is_not_answered_goes_back(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    renter.submit()
    offer = daemon.expect("offer")
    other = market.connect(market.add_provider())
    market.advance(16, silent=market.daemons)
    assert other.expect("offer").assignment.job_id == offer.assignment.job_id
    assert renter.job(1)["retry_count"] == 0


def test_an_offer_that_was_sent_is_named_until_it_is_called_unknown(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    offer = daemon.expect("offer")
    named = lease_of(offer)
    desired = daemon.beat()
    assert (list(desired.offered), list(desired.offers)) == ([named], [])
    daemon.state.unknown_offers.append(named)
    desired = daemon.beat()
    assert [again.assignment for again in desired.offers] == [offer.assignment]
    assert not desired.offered
    del daemon.state.unknown_offers[:]
    assert list(daemon.beat().offered) == [named]
    # A stream knows nothing of what another was sent.
    again = StreamDaemon(market.edge.target, provider.key, REPORT)
    assert [lease_of(repeated) for repeated in again.hello().desired.offers] == [named]
    again.accept(offer)
    assert not again.beat().offered
    again.close()


def test_a_batch_beyond_500_lines_is_answered_and_not_stored(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    assert daemon.send_logs(lease, 1, *("x" * 501)).sequence == 1
    assert daemon.send_logs(lease, 2, *("x" * 500)).sequence == 2
    assert answered(renter.get("/jobs/1/logs"))["total_lines"] == 500


def test_daemons_that_decline_whatever_comes_are_each_asked_once_a_while(market: LocalMarket, renter: Renter) -> None:
    daemons = [market.connect(market.add_provider()) for _ in range(3)]
    job = renter.submit()
    asked = 0
    # In whatever order they are asked; nobody is asked again while the clock stands still.
    while (offered := eventually_offered(daemons)) is not None:
        daemon, lease = offered
        asked += 1
        assert asked <= len(daemons)
        daemon.send(decline=pb.Decline(lease=lease, reason="no"))
    assert asked == len(daemons)
    market.clock.advance(15)
    assert eventually_offered(daemons) is not None
    assert renter.job(job["id"])["status"] == "pending"


def eventually_offered(daemons: list[StreamDaemon]) -> tuple[StreamDaemon, pb.LeaseRef] | None:
    """Who of them has an offer, within a second."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        for daemon in daemons:
            desired = daemon.beat()
            for lease in (*map(lease_of, desired.offers), *desired.offered):
                return daemon, lease
        time.sleep(0.02)
    return None


def test_a_second_daemon_is_refused_while_the_first_lives(market: LocalMarket, provider: PollDaemon) -> None:
    first = market.connect(provider)
    second = market.open_stream(provider, instance_id="another")
    second.say_hello()
    # Asked for a beat, so that the second need not wait for the next one that is due.
    assert first.expect("desired").beat_interval_seconds < 1
    assert 10 <= first.beat().beat_interval_seconds <= 30
    refusal = second.ended()
    assert refusal is not None
    assert refusal.code() is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.details() == "Another daemon is connected with this provider's key"
    assert first.beat().second_daemon_at_ms == market.clock.now_ms()
    shown = answered(market.admin.get("/admin/fleet/alerts"))["alerts"]
    assert [(alert["provider_id"], alert["reason"]) for alert in shown] == [(provider.id, "KEY_SHARED")]


def test_a_second_daemon_that_insists_replaces_the_first(market: LocalMarket, provider: PollDaemon) -> None:
    first = market.connect(provider)
    second = market.open_stream(provider, instance_id="another")
    assert second.hello(take_over=True).desired.second_daemon_at_ms == market.clock.now_ms()
    assert first.expect("reconnect").reason == pb.RECONNECT_REASON_REPLACED
    assert provider.account()["second_daemon_at"] == market.now()


def test_daemons_that_name_no_process_are_told_apart_by_who_lives(market: LocalMarket, provider: PollDaemon) -> None:
    first = market.open_stream(provider, instance_id="")
    first.hello()
    second = market.open_stream(provider, instance_id="")
    second.say_hello()
    assert first.expect("desired").beat_interval_seconds < 1
    first.beat()
    refusal = second.ended()
    assert refusal is not None
    assert refusal.code() is grpc.StatusCode.ALREADY_EXISTS


def test_a_daemon_with_the_owners_new_key_replaces_one_with_the_old(market: LocalMarket, provider: PollDaemon) -> None:
    """Whoever has the old key, and says every beat in time, is out as soon as the owner's daemon has the new one."""
    thief = market.connect(provider)
    new_key = answered(provider.post("/providers/me/rotate-key", {}))["api_key"]
    owner = StreamDaemon(market.edge.target, new_key, REPORT, "the owner's")
    owner.hello()
    assert thief.expect("reconnect").reason == pb.RECONNECT_REASON_REPLACED
    owner.close()


def test_a_newer_stream_replaces_the_older(market: LocalMarket, provider: PollDaemon) -> None:
    older = market.connect(provider)
    market.connect(provider)
    assert older.expect("reconnect").reason == pb.RECONNECT_REASON_REPLACED
    assert older.ended() is None
    assert provider.liveness() == "online"


def test_a_stopping_server_sends_its_daemons_elsewhere(market: LocalMarket, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    market.stop_server()
    assert daemon.expect("reconnect").reason == pb.RECONNECT_REASON_SERVER_DRAINING
    assert daemon.ended() is None


def test_a_rejected_providers_stream_ends(market: LocalMarket, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    answered(market.admin.patch("/admin/providers/1/reject", {"reason": "no"}))
    assert daemon.expect("reconnect").reason == pb.RECONNECT_REASON_ACCESS_REVOKED
    again = StreamDaemon(market.edge.target, provider.key, REPORT)
    again.send(hello=pb.Hello(instance_id="again", state=again.state))
    ended = again.ended()
    assert isinstance(ended, grpc.RpcError)
    assert _status(ended) == (grpc.StatusCode.PERMISSION_DENIED, "Provider is not approved yet")
    again.close()


@pytest.mark.parametrize(
    ("key", "text"), [("nope", "Invalid API key"), ("", "API key required"), ("dc1-provider-x", "Invalid API key")]
)
def test_a_bad_key_opens_no_stream(market: LocalMarket, key: str, text: str) -> None:
    daemon = StreamDaemon(market.edge.target, key, REPORT)
    ended = daemon.ended()
    assert isinstance(ended, grpc.RpcError)
    assert _status(ended) == (grpc.StatusCode.UNAUTHENTICATED, text)
    daemon.close()


def test_a_message_of_many_values_ends_its_stream_alone(market: LocalMarket, provider: PollDaemon) -> None:
    daemon, neighbour = market.connect(provider), market.connect(market.add_provider())
    state = daemon.state
    state.report.gpu_status.list_value.extend([True] * 20_000)
    daemon.send(beat=pb.Beat(sequence=1, state=state))
    ended = daemon.ended()
    assert isinstance(ended, grpc.RpcError)
    assert _status(ended) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Request body too large")
    neighbour.beat()


def test_what_a_daemon_makes_up_is_followed_slowly_on_whatever_stream(
    market: LocalMarket, provider: PollDaemon
) -> None:
    """Of jobs that do not exist 1,100 a second were looked up, and a new stream had a new budget."""
    began = time.monotonic()
    for _ in range(2):
        daemon = market.connect(provider)
        for number in range(55):
            made_up = pb.LeaseRef(job_id=f"job-{number}", attempt_number=1)
            daemon.send(progress=pb.Progress(lease=made_up, phase=Phase.GENERATING))
        for _ in range(55):
            daemon.expect("stop")
        market.cut(daemon)
    # Of one burst more may be read than there was room for: what comes after it waits.
    market.connect(provider)
    assert time.monotonic() - began > 1.5


def test_streams_that_say_nothing_are_few(market: LocalMarket, provider: PollDaemon) -> None:
    """With one provider's key 300 were open, for three beats each."""

    def are_open(number: int) -> bool:
        streams = answered(market.admin.get("/admin/metrics"))["open_streams"]
        return {"method": "ProviderService/Connect", "count": number} in streams

    silent = [market.open_stream(provider) for _ in range(8)]
    eventually(lambda: are_open(8), "the streams")
    late = market.open_stream(provider).ended()
    assert late is not None
    assert late.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    market.connect(market.add_provider())
    silent[0].cut()
    eventually(lambda: are_open(8), "the end of a silent one")
    market.connect(provider)


def test_a_pause_reaches_the_daemon_with_the_next_beat(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    assert daemon.beat().paused is False
    answered(provider.post("/providers/pause"))
    assert daemon.beat().paused is True
    refused(renter.try_submit(provider_id=1), 400, provider_status="paused")
    renter.submit()
    answered(provider.post("/providers/resume"))
    assert daemon.expect("offer").assignment.job_id == renter.job(1)["job_id"]


def test_a_kind_of_work_that_is_not_offered_is_not_placed(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = StreamDaemon(market.edge.target, provider.key, REPORT)
    daemon.state.job_types[:] = ["benchmark"]
    daemon.hello()
    assert renter.submit()["status"] == "queued"
    assert renter.submit(job_type="benchmark")["status"] == "pending"
    daemon.close()


def test_a_transient_failure_on_the_stream_is_tried_again(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    for attempt in (1, 2, 3):
        offer = daemon.expect("offer")
        assert offer.assignment.attempt_number == attempt
        receipt = daemon.fail(daemon.accept(offer).lease, "pull timeout", transient=True)
        expected = pb.OUTCOME_VERDICT_RETRIED if attempt < 3 else pb.OUTCOME_VERDICT_SETTLED
        assert receipt.verdict == expected
    assert show(renter.job(1), "status", "retry_count", "refunded_halala") == {
        "status": "failed",
        "retry_count": 2,
        "refunded_halala": 45,
    }


def _status(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    assert isinstance(error, grpc.Call)
    return error.code(), error.details() or ""


def test_numbers_that_json_does_not_have_spoil_no_answer(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    nan = Value(number_value=math.nan)
    daemon = market.connect(provider)
    state = {
        "temp_c": nan,
        "x": Value(list_value=ListValue(values=[Value(number_value=math.inf), Value(bool_value=True)])),
    }
    daemon.state.report.gpu_status.CopyFrom(Value(struct_value=Struct(fields=state)))
    daemon.beat()
    renter.submit()
    start = daemon.accept(daemon.expect("offer"))
    result = Value(struct_value=Struct(fields={"response": Value(string_value="ok"), "loss": nan}))
    daemon.send(outcome=pb.Outcome(lease=start.lease, result=result, gpu_seconds=math.nan))
    assert daemon.expect("outcome_receipt").verdict == pb.OUTCOME_VERDICT_SETTLED
    assert market.admin.dashboard()["recent_heartbeats"][0]["gpu_status"] == {"temp_c": None, "x": [None, True]}
    assert answered(renter.get("/jobs/1/output"))["result"] == {"response": "ok", "loss": None}
