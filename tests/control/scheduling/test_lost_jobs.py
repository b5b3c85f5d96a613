"""Where a job goes that a provider lost."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from dc1.control.fleet.provider import Provider
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.providers.liveness import Channel, Presence
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs, lifecycle
from tests.control.small_market import SmallMarket
from tests.storage.market import claim


def streaming_elsewhere(market: SmallMarket, provider: Provider) -> Provider:
    """The provider, whose daemon's stream another server holds."""
    presence = Presence(Channel.STREAM, market.clock.now_ms(), stream_open=True)
    stored = replace(provider, presence=presence, stream_replica="another")
    fleet = market.control.fleet
    assert fleet.follow(stored, here=False, decisions=fleet.decisions)
    return provider


async def test_a_lost_job_avoids_the_loser_while_another_fits(market: SmallMarket, renter: int) -> None:
    loser = await market.daemon()
    job = await market.submit(renter)
    other = await market.daemon()
    lease = await loser.accept()

    ended = await loser.finish(lease, AttemptReport(completed=False, error="pull timeout"), transient=True)
    await market.dispatch()

    assert ended.retried
    assert other.offered == [job.id]
    assert other.offers[0].attempt == 2
    assert loser.offered == [job.id]


async def test_a_job_that_was_lost_on_another_server_while_it_waited_here_avoids_the_loser(
    market: SmallMarket, renter: int
) -> None:
    job = await market.submit(renter)
    loser, other = await market.provider(), await market.provider()

    def run_and_lose(conn: Connection) -> lifecycle.Transition:
        now_ms = market.clock.now_ms()
        assert lifecycle.start(conn, job.id, loser.id, 0, 1, now_ms) is not None
        lost = lifecycle.lose(conn, job.id, 1, now_ms, queue_deadline_seconds=1800)
        assert lost is not None
        return lost

    lost = await market.do(run_and_lose)
    market.control.fleet.count_run(loser.id, lost.standing)
    market.control.dispatcher.follow(lost.job, None)
    market.heartbeat(loser)
    market.heartbeat(other)
    await market.dispatch()

    assert (await market.job(job.id)).provider_id == other.id


async def test_a_lost_job_returns_to_the_loser_when_no_other_fits(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)

    await daemon.finish(await daemon.accept(), AttemptReport(completed=False, error="pull timeout"), transient=True)
    await market.dispatch()

    assert daemon.offered == [job.id, job.id]


async def test_a_lost_job_goes_to_the_provider_of_another_server_before_it_returns_to_the_loser(
    market: SmallMarket, renter: int
) -> None:
    loser = await market.daemon()
    job = await market.submit(renter)
    other = streaming_elsewhere(market, await market.provider())

    await loser.finish(await loser.accept(), AttemptReport(completed=False, error="pull timeout"), transient=True)
    await market.dispatch()
    assert loser.offered == [job.id]

    busy = await market.submit(renter, provider_id=other.id)
    claimed = await market.do(claim, busy.id, other.id, 1, market.clock.now_ms())
    assert claimed is not None
    market.control.dispatcher.follow(claimed, (await market.see(jobs.specs, [busy.id]))[busy.id])
    await market.control.reaper.deadlines()
    await market.dispatch()
    assert loser.offered == [job.id, job.id]


async def test_another_server_that_does_not_take_a_lost_job_holds_it_up_for_a_while_only(
    market: SmallMarket, renter: int
) -> None:
    loser = await market.daemon()
    job = await market.submit(renter)
    streaming_elsewhere(market, await market.provider())
    await loser.finish(await loser.accept(), AttemptReport(completed=False, error="pull timeout"), transient=True)

    await market.advance(14)
    assert loser.offered == [job.id]
    await market.advance(1)
    assert loser.offered == [job.id, job.id]


async def test_others_are_asked_once_about_a_fleet_that_is_lost(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question for each would keep the database from those who come back."""
    asked: list[int] = []

    async def confirm_lost(lost: Collection[Provider]) -> None:
        asked.append(len(lost))

    monkeypatch.setattr(market.control.replicas, "confirm_lost", confirm_lost)
    daemons = [await market.daemon() for _ in range(5)]
    job = await market.submit(renter)
    await market.dispatch()
    (holder,) = [daemon for daemon in daemons if daemon.offered]
    await holder.accept()
    for daemon in daemons:
        daemon.cut()

    await market.advance(11)
    await market.advance(1)

    assert asked == [5]
    assert (await market.job(job.id)).retry_count == 1
