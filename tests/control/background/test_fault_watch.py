"""A provider that calls runs its renters' fault, more than others do with the same work, is told of and measured."""

from dataclasses import replace

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import ErrorCategory, Phase
from tests.control.small_market import DONE, Daemon, SmallMarket

FAILED = AttemptReport(completed=False, error_category=ErrorCategory.EXECUTION, exit_code=1)


async def run_jobs(market: SmallMarket, daemon: Daemon, renters: list[int], outcome: AttemptReport) -> None:
    for renter_id in renters * 4:
        await market.submit(renter_id, provider_id=daemon.provider_id, model="m")
        lease = await daemon.accept()
        await market.control.attempts.progress(daemon.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
        await daemon.finish(lease, outcome)


async def test_who_blames_renters_stands_out_until_it_is_forgotten(market: SmallMarket) -> None:
    renters = [await market.renter(10_000) for _ in range(5)]
    honest, blaming = [await market.daemon(models=["m"]) for _ in range(2)]
    await run_jobs(market, honest, renters, DONE)
    await run_jobs(market, blaming, renters, FAILED)
    watch = market.control.fault_watch
    # What may still be committed by others is waited for.
    await watch.look()
    assert watch.since_ms(blaming.provider_id) is None
    market.clock.advance(120)
    await watch.look()
    since_ms = market.clock.now_ms()
    market.clock.advance(60)
    await watch.look()
    assert (watch.since_ms(honest.provider_id), watch.since_ms(blaming.provider_id)) == (None, since_ms)
    await market.restart()
    again = market.control.fault_watch
    await again.look()
    assert again.since_ms(blaming.provider_id) == market.clock.now_ms()
    market.clock.advance(8 * 86_400)
    await again.look()
    assert again.since_ms(blaming.provider_id) is None


async def test_who_is_done_at_once_with_what_takes_others_long_stands_out(market: SmallMarket) -> None:
    renters = [await market.renter(10_000) for _ in range(5)]
    honest, instant = [await market.daemon(models=["m"]) for _ in range(2)]
    for seconds, daemon in ((60, honest), (0, instant)):
        for renter_id in renters * 4:
            await market.submit(renter_id, provider_id=daemon.provider_id, model="m")
            lease = await daemon.accept()
            market.clock.advance(seconds)
            daemon.beat()
            await daemon.finish(lease, DONE)
    market.clock.advance(120)
    watch = market.control.fault_watch
    await watch.look()
    assert (watch.short_since_ms(honest.provider_id), watch.short_since_ms(instant.provider_id)) == (
        None,
        market.clock.now_ms(),
    )
    market.clock.advance(8 * 86_400)
    await watch.look()
    assert watch.short_since_ms(instant.provider_id) is None


async def test_the_same_work_is_told_by_its_model_or_its_image(market: SmallMarket) -> None:
    renters = [await market.renter(10_000) for _ in range(5)]
    honest, other = [await market.daemon(models=["m"]) for _ in range(2)]
    await run_jobs(market, honest, renters, replace(DONE))
    for renter_id in renters * 4:
        # Another image than anybody else's: there is nothing to compare with.
        await market.submit(renter_id, provider_id=other.provider_id, container_spec={"image_type": "llm"})
        lease = await other.accept()
        await market.control.attempts.progress(other.provider_id, lease.job_id, lease.attempt, Phase.GENERATING)
        await other.finish(lease, FAILED)
    market.clock.advance(120)
    await market.control.fault_watch.look()
    assert market.control.fault_watch.since_ms(other.provider_id) is None
