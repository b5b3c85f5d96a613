"""The wall clock of a server or a daemon is set two days from where it was while a job runs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dc1.testing.edge import Edge
from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.faults.market import Provider, RealMarket, await_status, submit
from tests.support.fake_time import SteppedWall

HALALA_A_SECOND = 15 / 60


@pytest.fixture
def wall(tmp_path: Path) -> SteppedWall:
    return SteppedWall(tmp_path)


@pytest.fixture
def stepped_market(edge: Edge, tmp_path: Path, wall: SteppedWall) -> Iterator[RealMarket]:
    """A market whose processes all have the clock that steps."""
    market = RealMarket(edge, tmp_path, env=wall.env)
    try:
        market.start_server()
        yield market
    finally:
        market.close()


def told_steps(market: RealMarket) -> list[float]:
    lines = [json.loads(line) for line in market.server.said.splitlines() if '"clock_stepped"' in line]
    return [line["by_seconds"] for line in lines if line["clock"] == "machine"]


def assert_completed(market: RealMarket, renter: Renter, provider: Provider, job_id: int, began: float) -> None:
    """The first attempt completed, and is billed for no more than the time it took."""
    done = await_status(renter, {"id": job_id}, "completed")
    assert (done["attempt_number"], done["retry_count"]) == (1, 0)
    seconds = time.monotonic() - began
    assert 1 <= done["actual_cost_halala"] <= HALALA_A_SECOND * seconds + 1, f"of {seconds:.0f} s"
    assert renter.balance() == 1000 - done["actual_cost_halala"]
    assert renter.wallet()["held_halala"] == 0
    assert provider.earned == done["provider_earned_halala"]


def test_a_job_outlives_steps_of_everybody_s_clock(stepped_market: RealMarket, wall: SteppedWall) -> None:
    """Two days ahead and then two days back, at the server and at the daemon."""
    market, began = stepped_market, time.monotonic()
    renter, provider = market.add_renter(), market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    for number, (ahead, days) in enumerate(((2, 2), (-2, -4)), start=1):
        wall.step(ahead * 86_400)
        told = eventually(lambda: told_steps(market)[number - 1 :], "the step being told")  # noqa: B023 - called here
        assert told == [pytest.approx(days * 86_400, abs=10)]
        # Deadlines are looked at every second, presence four times a second.
        time.sleep(2.5)
        assert renter.job(job["id"])["status"] == "running"
        assert len(told_steps(market)) == number, "once"

    run.answer("the tide comes in.")
    assert_completed(market, renter, provider, job["id"], began)


@pytest.mark.parametrize("days", [2, -2])
def test_a_job_outlives_a_restart_of_the_server_after_a_step(
    stepped_market: RealMarket, wall: SteppedWall, days: int
) -> None:
    market, began = stepped_market, time.monotonic()
    renter, provider = market.add_renter(), market.add_provider()
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    market.server.kill()
    wall.step(days * 86_400)
    market.start_server()
    market.await_stream(provider, 2)
    time.sleep(2.5)
    assert renter.job(job["id"])["status"] == "running"
    run.answer("the tide comes in.")
    assert_completed(market, renter, provider, job["id"], began)
    assert len(told_steps(market)) == 1
