"""Who is given which job, and when."""

import asyncio

import pytest

from dc1.control.scheduling import dispatcher
from dc1.control.scheduling.sessions import StopReason
from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.domain.money.pricing import Settlement
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.providers import providers, standings
from tests.control.small_market import SmallMarket
from tests.storage.market import claim


async def test_a_submit_reaches_an_idle_daemon_at_once(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()

    job = await market.submit(renter)

    assert daemon.offered == [job.id]
    assert (job.status, job.provider_id) == ("pending", daemon.provider_id)
    lease = await daemon.accept()
    assert (lease.attempt, lease.running) == (1, True)


async def test_waiting_jobs_go_by_class_then_priority_then_age(market: SmallMarket, renter: int) -> None:
    economy = await market.submit(renter, pricing_class="economy", priority=1)
    second = await market.submit(renter, priority=2)
    third = await market.submit(renter, priority=2)
    urgent = await market.submit(renter, priority=1)
    dear = await market.submit(renter, pricing_class="priority", priority=3)

    positions = [market.control.dispatcher.queue.position(job.id) for job in (dear, urgent, second, third, economy)]
    assert positions == [1, 2, 3, 4, 5]

    daemon = await market.daemon()
    await market.dispatch()
    while len(daemon.offers) < 5:
        await daemon.finish(await daemon.accept())
        await market.dispatch()
    assert daemon.offered == [dear.id, urgent.id, second.id, third.id, economy.id]


async def test_a_freed_slot_goes_to_the_next_that_waits(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    await market.submit(renter)
    waiting = await market.submit(renter)
    assert waiting.status == "queued"

    ended = await daemon.finish(await daemon.accept())

    assert ended.promoted_on == daemon.provider_id
    await market.dispatch()
    assert (await market.job(waiting.id)).status == "pending"
    assert daemon.offered[-1] == waiting.id


async def test_cancelling_an_offered_job_frees_its_slot(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)
    waiting = await market.submit(renter)

    await market.control.job_commands.cancel(job.id, Actor.RENTER)

    assert daemon.stopped == [(job.job_id, 1, StopReason.CANCELLED)]
    await market.dispatch()
    assert daemon.offered == [job.id, waiting.id]


async def test_a_job_that_names_a_provider_waits_for_that_one(market: SmallMarket, renter: int) -> None:
    named = await market.daemon()
    await market.submit(renter)
    lease = await named.accept()
    other = await market.daemon()

    job = await market.submit(renter, provider_id=named.provider_id)

    assert job.status == "queued"
    await market.advance(30)
    assert other.offers == []
    await named.finish(lease)
    await market.dispatch()
    assert named.offered[-1] == job.id


async def test_jobs_that_name_others_do_not_hold_up_a_provider(market: SmallMarket, renter: int) -> None:
    busy = await market.daemon()
    await market.submit(renter, provider_id=busy.provider_id)
    await market.submit(renter, provider_id=busy.provider_id, priority=1)

    free = await market.daemon()
    job = await market.submit(renter)

    assert free.offered == [job.id]


async def test_a_job_of_two_gpus_waits_for_both(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon(gpus=2)
    small = await market.submit(renter)
    spec = {"image_type": "llm", "gpu_count": 2}
    large = await market.submit(renter, container_spec=spec)
    assert (small.status, large.status) == ("pending", "queued")

    await daemon.finish(await daemon.accept())
    await market.dispatch()

    assert daemon.offered == [small.id, large.id]


@pytest.mark.parametrize("prewarm_requested", [False, True])
async def test_of_several_that_are_free_the_best_gets_the_job_that_waits(
    market: SmallMarket, renter: int, prewarm_requested: bool
) -> None:
    model = "acme/chat-7b"
    silent, cold, warm = [await market.provider(cached_models=models) for models in ([], [], [model])]
    for provider in (silent, cold, warm):
        market.heartbeat(provider)
        market.control.fleet.set_paused(provider, True)
    job = await market.submit(renter, model=model, prewarm_requested=prewarm_requested)
    assert job.status == "queued"
    market.clock.advance(300)
    market.heartbeat(cold)
    for provider in (silent, cold, warm):
        market.control.fleet.set_paused(provider, False)
        market.control.dispatcher.wake(provider.id)

    await market.dispatch()

    assert (await market.job(job.id)).provider_id == (warm.id if prewarm_requested else cold.id)


async def test_a_job_goes_to_no_provider_that_another_one_waits_for(market: SmallMarket, renter: int) -> None:
    """The first in the order fits only the better of two providers."""
    model = "acme/chat-7b"
    first = await market.submit(renter, model=model)
    second = await market.submit(renter)
    other = await market.provider(cached_models=["acme/paint-1b"])
    better = await market.provider(cached_models=[model])
    failed = await market.do(standings.failed, other.id, renter, market.clock.now_ms())
    await market.do(standings.count, other.id, failed, Settlement.full_refund(0))
    market.control.fleet.count_run(other.id, failed)
    market.heartbeat(other)
    market.heartbeat(better)

    await market.dispatch()

    assert [(await market.job(job.id)).provider_id for job in (first, second)] == [better.id, other.id]


async def test_a_submission_does_not_take_the_slot_that_a_waiting_job_is_about_to_get(
    market: SmallMarket, renter: int
) -> None:
    """The dispatcher may be waiting for the database when a slot comes free."""
    daemon = await market.daemon()
    await market.submit(renter)
    waiting = await market.submit(renter)
    await daemon.finish(await daemon.accept())

    later = await market.submit(renter)
    assert later.status == "queued"
    urgent = await market.submit(renter, pricing_class="priority")
    assert urgent.status == "pending"

    await daemon.finish(await daemon.accept())
    await market.dispatch()
    assert daemon.offered[-2:] == [urgent.id, waiting.id]
    assert market.control.dispatcher.queue.position(later.id) == 1


async def test_a_submission_takes_a_slot_that_nobody_who_waits_can_have(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon(cached_models=["acme/chat-7b"])
    assert (await market.submit(renter, model="acme/paint-1b", pricing_class="priority")).status == "queued"

    job = await market.submit(renter, pricing_class="economy")

    assert daemon.offered == [job.id]


async def test_a_claim_that_the_database_refuses_puts_the_job_back(market: SmallMarket, renter: int) -> None:
    """Memory does not know of a decision that the database has."""
    job = await market.submit(renter)
    daemon = await market.daemon()
    await market.do(providers.set_paused, daemon.provider_id, True)

    await market.dispatch()

    assert daemon.offers == []
    assert job.id in market.control.dispatcher.queue
    await market.do(providers.set_paused, daemon.provider_id, False)
    await market.advance(1)
    assert daemon.offered == [job.id]


async def test_a_job_that_was_cancelled_meanwhile_is_not_put_back(market: SmallMarket, renter: int) -> None:
    job = await market.submit(renter)
    daemon = await market.daemon()
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, market.clock.now_ms())

    await market.dispatch()

    assert daemon.offers == []
    assert job.id not in market.control.dispatcher.queue


async def test_dispatching_outlives_a_database_that_fails(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await market.submit(renter)
    daemon = await market.daemon()

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "claim_all", fail)
        await market.dispatch()
    assert daemon.offers == []

    await market.advance(1)
    assert daemon.offered == [job.id]


async def test_dispatching_outlives_an_error_of_its_own(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await market.submit(renter)
    failed = asyncio.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise KeyError("nobody thought of that")

    with monkeypatch.context() as patch:
        patch.setattr(market.control.dispatcher.queue, "first_fitting", fail)
        dispatching = asyncio.create_task(market.control.dispatcher.run())
        daemon = await market.daemon()
        await asyncio.wait_for(failed.wait(), 10)
    daemon.beat()
    async with asyncio.timeout(10):
        while not daemon.offers:
            assert not dispatching.done()
            await asyncio.sleep(0)
    assert daemon.offered == [job.id]
    dispatching.cancel()
    await asyncio.gather(dispatching, return_exceptions=True)


async def test_a_refused_submission_gives_its_slot_back(market: SmallMarket) -> None:
    poor = await market.renter(credit=44)
    daemon = await market.daemon()

    with pytest.raises(ApiError, match="Insufficient balance"):
        await market.submit(poor)

    assert daemon.provider.occupied == 0
    assert daemon.offers == []


async def test_a_provider_with_more_slots_than_a_transaction_has_claims_is_filled(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_CLAIMS_PER_TRANSACTION", 2)
    waiting = [(await market.submit(renter)).id for _ in range(5)]
    provider = await market.provider(gpus=5)
    market.heartbeat(provider)

    await market.dispatch()

    assert {(await market.job(job_id)).provider_id for job_id in waiting} == {provider.id}


async def test_a_slot_kept_for_a_job_that_another_server_gave_away_goes_to_the_next_job(
    market: SmallMarket, renter: int
) -> None:
    elsewhere = await market.provider()
    taken = await market.submit(renter)
    waiting = await market.submit(renter)
    claimed = await market.do(claim, taken.id, elsewhere.id, 1, market.clock.now_ms())
    assert claimed is not None

    daemon = await market.daemon()
    await market.dispatch()

    assert daemon.offered == [waiting.id]
    # The news of the other server's claim comes late.
    market.control.dispatcher.follow(claimed, (await market.see(jobs.specs, [taken.id]))[taken.id])


async def test_a_job_that_is_said_to_wait_no_more_is_still_that_of_a_machine_that_came_here(
    market: SmallMarket, renter: int
) -> None:
    """Another server claimed it for a machine whose stream is held here by now, and says both."""
    waiting = await market.submit(renter)
    daemon = await market.daemon()
    claimed = await market.do(claim, waiting.id, daemon.provider_id, 1, market.clock.now_ms())
    assert claimed is not None

    dispatcher = market.control.dispatcher
    dispatcher.gone(waiting.id, claimed.event_sequence)
    assert waiting.id not in dispatcher.queue
    # What was read before the claim comes late.
    dispatcher.follow(waiting, None, heard=True)
    assert waiting.id not in dispatcher.queue
    specs = await market.see(jobs.specs, [waiting.id])
    dispatcher.follow(claimed, specs[waiting.id], heard=True)
    assert daemon.offered == [waiting.id]
