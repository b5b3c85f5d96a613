"""What a server knows that starts on the database of another."""

from decimal import Decimal

from dc1.control.fleet import FAILOVER_GRACE_SECONDS
from tests.unit.control.small_market import SmallMarket


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
    assert queued.id in market.control.dispatcher.waiting
    assert (await again.finish(lease)).job.attempt_number == 1
    await market.dispatch()
    assert again.offered == [queued.id]


async def test_a_run_waits_for_its_daemon_however_long_the_server_was_away(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter, duration_minutes=Decimal(60), max_duration_seconds=3600)
    await daemon.accept()
    daemon.cut()
    await market.control.upkeep.flush()
    market.clock.advance(600)
    await market.restart()

    await market.advance(FAILOVER_GRACE_SECONDS + 9)
    assert (await market.job(job.id)).status == "running"
    await market.advance(2)
    assert (await market.job(job.id)).status == "queued"
