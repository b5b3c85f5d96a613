"""A call that its provider fails before the first token is answered by another one (6.2)."""

from collections.abc import Callable
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, show
from tests.contract.inference.chat import Caller, begin, envelope, finish, streaming

DIED: dict[str, Any] = {"error": "the engine answered 500: died", "transient": True, "category": "engine"}


@pytest.fixture
def others(market: LocalMarket, daemon: StreamDaemon) -> list[StreamDaemon]:
    """Three more daemons, whose turn comes by their ids."""
    return [market.connect(market.add_provider()) for _ in range(3)]


def runs(renter: Renter) -> list[dict[str, Any]]:
    executions: list[dict[str, Any]] = answered(renter.get("/jobs/1/executions"))["executions"]
    return [show(each, "provider_id", "fault") for each in executions]


@pytest.mark.parametrize("stream", [False, True])
def test_each_provider_has_its_own_fault(
    market: LocalMarket,
    renter: Renter,
    daemon: StreamDaemon,
    others: list[StreamDaemon],
    caller: Caller,
    *,
    stream: bool,
) -> None:
    call = caller.ask(stream=stream)
    for failing in (daemon, others[0]):
        assert failing.fail(begin(failing), **DIED).verdict == pb.OUTCOME_VERDICT_RETRIED
    finish(others[1], begin(others[1]))
    assert call.result().status_code == 200
    assert "Hello there" in call.result().text
    job = renter.job(1)
    assert show(job, "status", "provider_id", "retry_count") == {
        "status": "completed",
        "provider_id": 3,
        "retry_count": 2,
    }
    assert [each["provider_id"] for each in runs(renter)] == [1, 2, 3]
    assert [each["fault"] for each in runs(renter)] == ["provider", "provider", None]
    assert market.admin.stats()["total_jobs"] == 1
    assert renter.wallet()["held_halala"] == 0


def test_it_goes_on_twice_at_most(
    renter: Renter, daemon: StreamDaemon, others: list[StreamDaemon], caller: Caller
) -> None:
    call = caller.ask()
    for failing in (daemon, *others[:2]):
        failing.fail(begin(failing), **DIED)
    envelope(call.result(), 503, "provider_unavailable")
    assert not others[2].beat().offers
    assert renter.balance() == 1000


def test_it_never_goes_back_to_who_failed_it(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    call = caller.ask()
    daemon.fail(begin(daemon), **DIED)
    envelope(call.result(), 503, "provider_unavailable")
    assert renter.job(1)["retry_count"] == 0


def test_after_the_first_token_it_is_an_error(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, others: list[StreamDaemon], caller: Caller
) -> None:
    call = caller.ask(stream=True)
    lease = begin(daemon, "Hel")
    daemon.fail(lease, **DIED)
    assert call.result().text.count("provider_unavailable") > 0
    assert not others[0].beat().offers


def test_an_engine_that_is_busy_is_spared_and_the_next_one_asked(
    renter: Renter, provider: PollDaemon, daemon: StreamDaemon, others: list[StreamDaemon], caller: Caller
) -> None:
    before = provider.account()["reputation_score"]
    call = caller.ask()
    refused = {"engine_status": 429, "retry_after_seconds": 5}
    daemon.fail(begin(daemon), "the engine answered 429: slow", category="engine_busy", transient=True, refused=refused)
    finish(others[0], begin(others[0]))
    answered(call.result())
    assert [each["fault"] for each in runs(renter)] == ["market", None]
    assert provider.account()["reputation_score"] == before


def test_what_the_caller_has_to_change_is_asked_of_nobody_else(
    daemon: StreamDaemon, others: list[StreamDaemon], caller: Caller
) -> None:
    call = caller.ask()
    daemon.fail(begin(daemon), "no", category="invalid_params", refused={"engine_status": 422})
    envelope(call.result(), 422, "invalid_request_error")
    assert not others[0].beat().offers


def declined(market: LocalMarket, daemon: StreamDaemon) -> None:
    assignment = daemon.expect("offer").assignment
    lease = pb.LeaseRef(job_id=assignment.job_id, attempt_number=1)
    daemon.send(decline=pb.Decline(lease=lease, reason="no memory left"))


def unanswered(market: LocalMarket, daemon: StreamDaemon) -> None:
    daemon.expect("offer")
    market.advance(16)


def cut_off(market: LocalMarket, daemon: StreamDaemon) -> None:
    begin(daemon)
    market.cut(daemon)
    market.advance(2, silent=market.daemons)


@pytest.mark.parametrize("goes_wrong", [declined, unanswered, cut_off])
def test_a_daemon_that_does_not_answer_is_not_waited_for(
    market: LocalMarket,
    renter: Renter,
    daemon: StreamDaemon,
    others: list[StreamDaemon],
    caller: Caller,
    goes_wrong: Callable[[LocalMarket, StreamDaemon], None],
) -> None:
    call = caller.ask()
    goes_wrong(market, daemon)
    finish(others[0], begin(others[0]))
    answered(call.result())
    assert renter.job(1)["provider_id"] == 2


def test_a_caller_who_leaves_between_two_attempts_pays_nothing(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: Any
) -> None:
    other = market.connect(market.add_provider())
    busy = Caller(renter, pool).ask()
    lease = begin(daemon)
    second = pool.submit(begin, other)
    with streaming(market.rest, renter.key) as chunks:
        failing = second.result()
        assert chunks.response.status_code == 200 or failing
        other.fail(failing, **DIED)
        eventually(lambda: renter.job(2)["status"] == "queued", "the call waiting for the daemon that is busy")
    eventually(lambda: renter.job(2)["status"] == "cancelled", "the end of the call")
    finish(daemon, lease)
    answered(busy.result())
    assert not daemon.beat().offers
    assert renter.wallet()["held_halala"] == 0
