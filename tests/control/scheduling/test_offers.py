"""Offers that are ignored, declined, accepted twice or taken back."""

import asyncio

from dc1.control.scheduling.sessions import StopReason
from dc1.domain.jobs.placement import Requirement
from dc1.storage.jobs import jobs, lifecycle
from tests.control.small_market import DONE, SmallMarket
from tests.storage.market import LIMITS, claim, job_for


async def test_an_offer_that_nobody_answers_goes_to_another(market: SmallMarket, renter: int) -> None:
    silent = await market.daemon()
    job = await market.submit(renter)
    other = await market.daemon()

    await market.advance(14.9)
    assert other.offers == []
    await market.advance(0.2)

    assert other.offered == [job.id]
    assert silent.stopped == [(job.job_id, 1, StopReason.WITHDRAWN)]
    assert (await market.job(job.id)).retry_count == 0


async def test_an_offer_that_the_only_provider_ignored_is_made_again(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)

    await market.advance(15)

    assert daemon.offered == [job.id, job.id]


async def test_a_declined_offer_goes_to_another_at_once(market: SmallMarket, renter: int) -> None:
    first = await market.daemon()
    job = await market.submit(renter)
    second = await market.daemon()

    await first.decline()
    await market.dispatch()

    assert second.offered == [job.id]
    assert first.offered == [job.id]


async def test_who_declines_is_not_asked_again_at_once(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)

    await daemon.decline()
    daemon.beat()
    await market.advance(14)
    assert daemon.offered == [job.id]

    await market.advance(1)
    assert daemon.offered == [job.id, job.id]


async def test_a_declined_job_does_not_hold_up_those_behind_it(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    first = await market.submit(renter)
    second = await market.submit(renter)

    await daemon.decline()
    await market.dispatch()

    assert daemon.offered == [first.id, second.id]


async def test_an_offer_that_crosses_the_end_of_an_account_is_taken_back(market: SmallMarket, renter: int) -> None:
    """The account is closed after the job was given to it, and memory hears of that first."""
    closed = await market.daemon()
    new = job_for(renter, provider_id=closed.provider_id, slots=1)
    reserved = market.control.dispatcher.place(Requirement())
    job = await market.do(lifecycle.submit, new, LIMITS, market.clock.now_ms())
    market.control.fleet.close(closed.provider)
    market.control.dispatcher.submitted(job, new.spec, reserved)
    other = await market.daemon()

    await market.advance(1)

    assert other.offered == [job.id]


async def test_an_offer_that_is_accepted_twice_starts_once(market: SmallMarket, renter: int) -> None:
    """As when the stream is replaced while its Accept is being stored."""
    daemon = await market.daemon()
    job = await market.submit(renter)

    first, second = await asyncio.gather(daemon.accept(), daemon.accept())

    assert first is second
    assert (await market.job(job.id)).attempt_number == 1
    await daemon.finish(first, DONE)


async def test_pausing_takes_offers_back_and_lets_runs_go_on(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon(gpus=2)
    running = await market.submit(renter)
    await daemon.accept()
    offered = await market.submit(renter)

    market.control.fleet.set_paused(daemon.provider, True)
    await market.control.attempts.bookability_changed(daemon.provider)

    assert (await market.job(running.id)).status == "running"
    assert (await market.job(offered.id)).status == "queued"
    assert market.control.dispatcher.queue.position(offered.id) == 1


async def test_an_offer_to_a_provider_that_cannot_take_it_any_more_is_taken_back(
    market: SmallMarket, renter: int
) -> None:
    """A claim may be on its way to the database when the provider is paused."""
    provider = await market.provider()
    market.heartbeat(provider)
    job = await market.submit(renter)
    market.control.fleet.set_paused(provider, True)

    await market.advance(1)

    assert (await market.job(job.id)).status == "queued"


async def test_an_offer_of_another_server_is_left_alone_until_news_of_its_provider_had_time_to_come(
    market: SmallMarket, renter: int
) -> None:
    provider = await market.provider()
    job = await market.submit(renter)
    offered = await market.do(claim, job.id, provider.id, 1, market.clock.now_ms())
    assert offered is not None
    market.control.dispatcher.follow(offered, (await market.see(jobs.specs, [job.id]))[job.id])

    await market.advance(1)
    assert (await market.job(job.id)).status == "pending"
    await market.advance(5)
    assert (await market.job(job.id)).status == "queued"
