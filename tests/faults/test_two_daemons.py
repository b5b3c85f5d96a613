"""Two daemons have one key: machines that were cloned, a unit that was started twice, a key in strange hands."""

import time

from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.faults.market import Provider, RealMarket, await_status, submit
from tests.support.programs.process import DC1, Process

NOT_AGAIN = 78
"""The exit status that `ops/systemd/dc1-daemon.service` names as one not to start again after."""


def start_second(market: RealMarket, provider: Provider, *more: str) -> Process:
    options = ("--server", market.target, "--engine-url", provider.engine.url, "--no-containers", *more)
    return market.start("second-daemon", (*DC1, "daemon", *options), {"DC1_PROVIDER_KEY": provider.account.key})


def reasons(market: RealMarket) -> list[str]:
    alerts: list[Json] = market.admin.get("/admin/fleet/alerts").json()["alerts"]
    return [alert["reason"] for alert in alerts]


def test_the_second_is_refused_and_the_job_of_the_first_goes_on(market: RealMarket, renter: Renter) -> None:
    provider = market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()

    second = start_second(market, provider)
    assert second.exit_status() == NOT_AGAIN
    assert "Another daemon is connected with this provider's key." in second.said
    assert provider.daemon.is_alive
    run.answer("the tide comes in.")

    assert await_status(renter, job, "completed")["attempt_number"] == 1
    assert reasons(market) == ["KEY_SHARED"]
    assert provider.account.account()["second_daemon_at"] is not None
    eventually(lambda: "second_daemon" in provider.daemon.said, "the first daemon's owner being told")


def test_the_first_ends_for_good_when_the_second_takes_over(market: RealMarket) -> None:
    provider = market.add_provider()
    second = start_second(market, provider, "--take-over")
    assert provider.daemon.exit_status() == NOT_AGAIN
    assert "Another daemon has connected with this provider's key" in provider.daemon.said
    market.await_stream(provider, 2)
    assert second.is_alive
    assert reasons(market) == ["KEY_SHARED"]


def test_a_daemon_that_is_started_anew_is_let_in_at_once(market: RealMarket) -> None:
    provider = market.add_provider()
    provider.daemon.kill()
    began = time.monotonic()
    start_second(market, provider)
    market.await_stream(provider, 2)
    # Most of it is the start of Python; a second of silence would be the third of a minute in a market's usual beat.
    assert time.monotonic() - began < 8
    assert reasons(market) == []


def test_a_daemon_in_place_of_one_that_fell_silent_waits_for_two_beats(market: RealMarket) -> None:
    """What a power cut leaves: a stream that nobody ended, and a machine that is back within seconds."""
    provider = market.add_provider()
    provider.daemon.freeze()
    second = start_second(market, provider)
    market.await_stream(provider, 2)
    assert second.is_alive
    assert "KEY_SHARED" not in reasons(market)
    # The one that was silent finds its place taken, and does not fight for it.
    provider.daemon.thaw()
    assert provider.daemon.exit_status() == NOT_AGAIN
    assert second.is_alive
