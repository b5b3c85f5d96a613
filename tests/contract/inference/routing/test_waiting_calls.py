"""Calls wait for a provider that has room, in fair order and for a while (6.2)."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from tests.contract.expect import answered
from tests.contract.inference.chat import CHAT, HELLO, Caller, begin, envelope, finish, serve


def waiting(market: LocalMarket) -> int:
    return market.server.calls_waiting


def await_waiting(market: LocalMarket, count: int) -> None:
    eventually(lambda: waiting(market) == count, f"{count} calls waiting")


def ask_and_wait(market: LocalMarket, caller: Caller) -> "Future[httpx.Response]":
    """One more call that waits."""
    before = waiting(market)
    call = caller.ask()
    await_waiting(market, before + 1)
    return call


def test_who_waits_is_answered_and_holds_nothing_meanwhile(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    first = caller.ask()
    lease = begin(daemon)
    held = renter.wallet()["held_halala"]
    second = ask_and_wait(market, caller)
    assert renter.wallet()["held_halala"] == held
    assert market.admin.stats()["total_jobs"] == 1
    finish(daemon, lease)
    serve(daemon)
    answered(first.result())
    answered(second.result())
    assert waiting(market) == 0


def test_renters_take_turns(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, pool: ThreadPoolExecutor
) -> None:
    other = market.add_renter()
    running = Caller(renter, pool).ask()
    lease = begin(daemon)
    with ThreadPoolExecutor(4) as more:
        mine = [ask_and_wait(market, Caller(renter, more)) for _ in range(3)]
        theirs = ask_and_wait(market, Caller(other, more))
        finish(daemon, lease)
        answered(running.result())
        serve(daemon)
        answered(mine[0].result())
        # Who came last comes next: the first renter has had a turn.
        serve(daemon)
        wait([theirs], timeout=8)
        answered(theirs.result())
        assert not mine[1].done()
        for call in mine[1:]:
            serve(daemon)
            answered(call.result())


def test_a_daemon_that_comes_answers_who_waits(market: LocalMarket, daemon: StreamDaemon, caller: Caller) -> None:
    first = caller.ask()
    lease = begin(daemon)
    second = ask_and_wait(market, caller)
    other = market.connect(market.add_provider())
    serve(other)
    answered(second.result())
    finish(daemon, lease)
    answered(first.result())


def test_who_hangs_up_leaves_the_queue(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon, caller: Caller
) -> None:
    first = caller.ask()
    lease = begin(daemon)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(market.rest.url + CHAT, json=HELLO, headers={"x-renter-key": renter.key}, timeout=0.5)
    await_waiting(market, 0)
    finish(daemon, lease)
    answered(first.result())
    assert not daemon.beat().offers
    assert market.admin.stats()["total_jobs"] == 1
    assert renter.wallet()["held_halala"] == 0


@pytest.mark.settings(completion_queue_seconds=0.2)
def test_who_waited_in_vain_is_told_when_to_come_back(renter: Renter, daemon: StreamDaemon, caller: Caller) -> None:
    first = caller.ask()
    lease = begin(daemon)
    refused = renter.post(CHAT, HELLO)
    assert envelope(refused, 503, "no_capacity_available")["retry_after_seconds"] == 1
    assert refused.headers["retry-after"] == "1"
    finish(daemon, lease)
    answered(first.result())


def test_a_server_that_stops_finishes_what_runs_and_sends_away_what_waits(
    market: LocalMarket, daemon: StreamDaemon, caller: Caller, pool: ThreadPoolExecutor
) -> None:
    running = caller.ask()
    lease = begin(daemon)
    second = ask_and_wait(market, caller)
    stopping = pool.submit(market.stop_server)
    refused = envelope(second.result(), 503, "provider_unavailable")
    assert refused["retry_after_seconds"] == 1
    finish(daemon, lease)
    answered(running.result())
    stopping.result()
    market.start_server()
