"""A provider's daemon is killed, cut off or stopped while it runs a job."""

import time

import pytest

from dc1.domain.jobs.states import JobEvent
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.faults.market import Provider, RealMarket, await_status, submit


def two_providers(market: RealMarket) -> list[Provider]:
    providers = [market.launch_provider(), market.launch_provider()]
    for provider in providers:
        market.await_stream(provider)
    return providers


def assert_done_by_the_second(market: RealMarket, renter: Renter, providers: list[Provider], job: Json) -> None:
    """The second attempt completed the job, and only its provider was paid."""
    first, second = providers
    done = await_status(renter, job, "completed")
    assert (done["attempt_number"], done["retry_count"]) == (2, 1)
    assert [(run.provider_id, run.outcome) for run in market.attempts(job)] == [
        (first.account.id, "provider_disconnect"),
        (second.account.id, "completed"),
    ]
    assert [event.event_type for event in market.events(job)].count(JobEvent.COMPLETED) == 1
    assert renter.balance() == 1000 - done["actual_cost_halala"]
    assert renter.wallet()["held_halala"] == 0
    assert first.earned == 0
    assert second.earned == done["provider_earned_halala"] > 0


def test_a_job_moves_when_its_daemon_is_killed(market: RealMarket, renter: Renter) -> None:
    first, second = providers = two_providers(market)
    job = submit(renter)
    first.engine.next_request()

    first.daemon.kill()
    run = second.engine.next_request()
    assert await_status(renter, job, "running")["provider_id"] == second.account.id
    run.answer("the tide goes out.")

    assert_done_by_the_second(market, renter, providers, job)
    assert eventually(lambda: first.account.liveness() == "offline", "the killed daemon's provider being offline")


@pytest.mark.parametrize("comes_back", ["with a late result", "still working"])
def test_a_daemon_that_was_cut_off_can_neither_settle_nor_go_on(
    market: RealMarket, renter: Renter, comes_back: str
) -> None:
    first, second = providers = two_providers(market)
    job = submit(renter)
    late = first.engine.next_request()

    first.daemon.freeze()
    run = second.engine.next_request()
    await_status(renter, job, "running")
    if comes_back == "with a late result":
        late.answer("the tide, much later.")
    first.daemon.thaw()
    if comes_back == "with a late result":
        first.daemon.expect("superseded")
    else:
        assert late.abandoned.wait(15), "the first daemon goes on with a job that it lost"
    assert renter.job(job["id"])["status"] == "running"
    run.answer("the tide goes out.")

    assert_done_by_the_second(market, renter, providers, job)
    assert renter.get(f"/jobs/{job['id']}/output").json()["response"] == "So: the tide goes out."


def test_a_daemon_that_is_told_to_end_finishes_its_job_and_takes_no_other(market: RealMarket, renter: Renter) -> None:
    provider = market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    provider.daemon.terminate()
    provider.daemon.expect("draining")
    waiting = submit(renter)
    run.answer("the tide turns.")
    assert provider.daemon.exit_status() == 0

    assert await_status(renter, job, "completed")["attempt_number"] == 1
    assert renter.job(waiting["id"])["status"] == "queued"
    assert len(provider.engine.requests) == 1


def test_a_daemon_whose_terminal_closed_finishes_its_job(market: RealMarket, renter: Renter) -> None:
    provider = market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    provider.daemon.hang_up()
    provider.daemon.expect("draining")
    # The kernel's, and the shell's for the same terminal: no wish to end at once.
    provider.daemon.hang_up()
    time.sleep(1.0)
    assert provider.daemon.is_alive
    run.answer("the tide turns.")
    assert provider.daemon.exit_status() == 0

    assert await_status(renter, job, "completed")["attempt_number"] == 1
