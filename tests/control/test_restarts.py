"""What a server knows that starts on the database of another."""

from dataclasses import replace
from decimal import Decimal

import pytest

from dc1.control.fleet.failover import FAILOVER_GRACE_SECONDS
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import TEST_RENTER_ID, JobStatus, Phase
from tests.control.small_market import DONE, SmallMarket


async def test_queue_offers_and_runs_are_known_after_a_restart(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon(gpus=2)
    running = await market.submit(renter)
    lease = await daemon.accept()
    offered = await market.submit(renter)
    queued = await market.submit(renter)

    await market.restart()
    await market.check()
    again = market.reconnect(daemon)

    assert [held.row_id for held in market.control.leases.of_provider(daemon.provider_id)] == [running.id, offered.id]
    assert queued.id in market.control.dispatcher.queue
    assert (await again.finish(lease)).job.attempt_number == 1
    await market.dispatch()
    assert again.offered == [queued.id]


async def test_a_lost_job_avoids_the_loser_after_a_restart_too(market: SmallMarket, renter: int) -> None:
    loser = await market.daemon()
    job = await market.submit(renter)
    await loser.finish(await loser.accept(), AttemptReport(completed=False, error="pull timeout"), transient=True)
    other = await market.daemon()

    await market.restart()
    loser, other = market.reconnect(loser), market.reconnect(other)
    await market.dispatch()

    assert (loser.offered, other.offered) == ([], [job.id])


async def test_a_run_waits_for_its_daemon_however_long_the_server_was_away(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter, duration_minutes=Decimal(60), max_duration_seconds=3600)
    await daemon.accept()
    daemon.cut()
    await market.control.report_flusher.flush()
    market.clock.advance(600)
    await market.restart()

    await market.advance(FAILOVER_GRACE_SECONDS + 9)
    assert (await market.job(job.id)).status == "running"
    await market.advance(2)
    assert (await market.job(job.id)).status == "queued"


async def test_a_run_of_a_week_outlives_restarts_and_lost_streams(market: SmallMarket) -> None:
    daemon = await market.daemon()
    week_seconds = 7 * 24 * 3600
    # Of the renter whose jobs are free: a week is more than others may spend in a month.
    job = await market.submit(TEST_RENTER_ID, duration_minutes=week_seconds // 60, job_type="benchmark")
    lease = await daemon.accept()
    for _ in range(6):
        daemon.cut()
        await market.control.report_flusher.flush()
        market.clock.advance(24 * 3600)
        await market.restart()
        daemon = market.reconnect(daemon)
        await market.control.reaper.deadlines()
        assert (await market.job(job.id)).status == "running"
    ended = (await daemon.finish(lease, replace(DONE, gpu_seconds=6 * 24 * 3600))).job

    assert ended.status == "completed"
    assert (ended.used_seconds, ended.attempt_number) == (Decimal(6 * 24 * 3600), 1)
    late = await market.submit(TEST_RENTER_ID, duration_minutes=week_seconds // 60, job_type="benchmark")
    await daemon.accept()
    market.clock.advance(week_seconds - 1)
    await market.control.reaper.deadlines()
    assert (await market.job(late.id)).status == "running"
    market.clock.advance(1)
    await market.control.reaper.deadlines()
    ended = await market.job(late.id)
    # It showed no work, so that another machine is to have it.
    assert (ended.status, ended.retry_count) == (JobStatus.QUEUED, 1)


async def test_a_run_that_ended_while_the_server_was_away_is_settled_by_its_result(
    market: SmallMarket, renter: int
) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)
    lease = await daemon.accept()
    await market.advance(175)
    daemon.cut()
    await market.restart()
    await market.advance(8)
    assert (await market.job(job.id)).status == "running"

    again = market.reconnect(daemon)
    await market.control.reaper.deadlines()
    ended = (await again.finish(lease, replace(DONE, gpu_seconds=95))).job

    assert (ended.status, ended.actual_cost_halala, ended.refunded_halala) == ("completed", 24, 21)


@pytest.mark.parametrize("returns", [True, False])
async def test_a_deadline_is_not_held_up_for_long(market: SmallMarket, renter: int, returns: bool) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)
    lease = await daemon.accept()
    await market.control.attempts.progress(daemon.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
    await market.advance(175)
    daemon.cut()
    await market.restart()
    await market.advance(8)

    if returns:
        market.reconnect(daemon)
    await market.advance(1)
    await market.advance(1.1)
    await market.advance(1)
    ended = await market.job(job.id)

    assert (ended.status, ended.error_category, ended.actual_cost_halala) == ("failed", "timeout", 45)
