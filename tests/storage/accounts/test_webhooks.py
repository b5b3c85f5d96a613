"""The outbox on both engines: written with its cause, taken by one sender at a time, fair to every renter."""

import asyncio
import json

import pytest

from dc1.domain.access.webhooks import DeliveryStatus
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import renters, webhooks
from dc1.storage.accounts.webhooks import DeliveryAttempt, DeliveryRow, TakenDelivery
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import lifecycle, spending
from dc1.storage.jobs.lifecycle import SubmissionLimits
from tests.storage.market import NOW, Market

LATER = NOW + 30_000


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def listening(market: Market) -> int:
    renter = await market.renter()
    await market.do(renters.set_webhook, renter, "https://1.1.1.1/", "sealed")
    return renter


async def cancelled(market: Market, renter: int, count: int) -> None:
    for _ in range(count):
        job = await market.submit(renter, cost_halala=1)
        await market.do(lifecycle.cancel, job.id, Actor.RENTER, market.now)


async def claim(
    market: Market, now_ms: int = NOW, *, limit: int = 64, per_renter: int = 64, busy: int = 0
) -> list[TakenDelivery]:
    in_flight = {busy: per_renter} if busy else {}
    return await market.do(
        webhooks.take_due, now_ms, now_ms + 30_000, limit=limit, per_renter=per_renter, in_flight=in_flight
    )


async def deliveries(market: Market, renter: int) -> list[DeliveryRow]:
    return (await market.see(webhooks.page, renter, limit=100)).rows


async def test_only_renters_with_an_address_are_told(market: Market) -> None:
    silent, renter, provider = await market.renter(), await listening(market), await market.provider(gpus=4)
    unheard, job = [await market.running(each, provider) for each in (silent, renter)]
    for each in (unheard, job):
        await market.do(lifecycle.finish, each.id, AttemptReport(completed=True), market.now + 95_000)
    assert await deliveries(market, silent) == []
    rows = await deliveries(market, renter)
    assert [(row.event, row.job_id, row.status) for row in rows] == [
        ("job.completed", job.job_id, "pending"),
        ("job.started", job.job_id, "pending"),
    ]
    assert [item.event for item in await claim(market, NOW + 95_000)] == ["job.started", "job.completed"]


async def test_what_is_undone_tells_nothing(market: Market) -> None:
    renter = await listening(market)
    job = await market.submit(renter)

    def undone(conn: Connection) -> None:
        assert lifecycle.cancel(conn, job.id, Actor.RENTER, NOW) is not None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await market.db.write(undone)
    assert await deliveries(market, renter) == []


async def test_a_balance_that_crosses_the_threshold_is_told_once(market: Market) -> None:
    renter = await listening(market)
    limits = SubmissionLimits(balance_low_halala=900)
    for cost in (100, 1, 1):
        await market.submit(renter, limits, cost_halala=cost)
    await market.submit(renter, SubmissionLimits(balance_low_halala=0), cost_halala=800)
    (low,) = await claim(market)
    assert low.event == "balance.low"
    assert json.loads(low.body)["balance"] == {"balance_halala": 899, "threshold_halala": 900}


async def test_a_delivery_is_claimed_once_and_again_when_its_sender_died(market: Market) -> None:
    renter = await listening(market)
    await cancelled(market, renter, 10)
    taken = await asyncio.gather(*[claim(market, limit=4) for _ in range(4)])
    # A sender passes over what another one is just looking at.
    taken.append(await claim(market))
    ids = [item.id for batch in taken for item in batch]
    assert len(ids) == len(set(ids)) == 10
    assert await claim(market) == []
    assert await market.see(webhooks.next_due_ms) == LATER
    assert len(await claim(market, LATER)) == 10


async def test_released_claims_are_due_at_once_unless_they_ended(market: Market) -> None:
    renter = await listening(market)
    await cancelled(market, renter, 2)
    first, second = await claim(market)
    await market.do(webhooks.record_attempt, first, DeliveryAttempt(DeliveryStatus.DELIVERED, 204, None, NOW, None))
    await market.do(webhooks.release, [first.id, second.id], NOW)
    assert [item.id for item in await claim(market)] == [second.id]


async def test_an_attempt_is_recorded_once(market: Market) -> None:
    renter = await listening(market)
    await cancelled(market, renter, 1)
    (claimed,) = await claim(market)
    retry = DeliveryAttempt(DeliveryStatus.PENDING, 500, "The answer was HTTP 500", NOW + 5, NOW + 1005)
    await market.do(webhooks.record_attempt, claimed, retry)
    await market.do(
        webhooks.record_attempt, claimed, DeliveryAttempt(DeliveryStatus.DELIVERED, 200, None, NOW + 9, None)
    )
    (row,) = await deliveries(market, renter)
    assert (row.status, row.attempts, row.next_attempt_at_ms, row.delivered_at_ms) == ("pending", 1, NOW + 1005, None)
    (again,) = await claim(market, NOW + 1005)
    assert (again.attempts, again.body) == (1, claimed.body)


async def test_a_renter_with_a_slow_host_does_not_hold_up_another(market: Market) -> None:
    slow, quick = await listening(market), await listening(market)
    await cancelled(market, slow, 12)
    await cancelled(market, quick, 2)
    taken = await claim(market, per_renter=4)
    assert [item.renter_id for item in taken] == [slow] * 4 + [quick] * 2
    # Those that were taken come due again when their sender is gone.
    assert await market.see(webhooks.next_due_ms, [slow]) == NOW + 30_000
    assert await claim(market, per_renter=4, busy=slow) == []
    assert len(await claim(market, limit=3)) == 3


async def test_old_deliveries_are_forgotten_and_waiting_ones_are_not(market: Market) -> None:
    renter = await listening(market)
    await cancelled(market, renter, 2)
    first, _ = await claim(market)
    await market.do(webhooks.record_attempt, first, DeliveryAttempt(DeliveryStatus.FAILED, None, "lost", NOW, None))
    assert await market.do(webhooks.purge, NOW, 10) == 0
    assert await market.do(webhooks.purge, NOW + 1, 10) == 1
    assert [row.status for row in await deliveries(market, renter)] == ["pending"]


async def test_spending_is_kept_by_day(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider(gpus=8)
    day = NOW - NOW % 86_400_000
    for later, seconds in ((0, 95), (0, 60), (86_400_000, 60)):
        market.now = NOW + later
        job = await market.running(renter, provider)
        await market.do(lifecycle.finish, job.id, AttemptReport(completed=True), market.now + seconds * 1000)
    assert await market.see(spending.by_day, renter, day) == {
        day: spending.Spend(2, 39),
        day + 86_400_000: spending.Spend(1, 15),
    }
    assert await market.see(spending.all_time, renter) == spending.Spend(3, 54)
    use = await market.see(spending.use, renter, day, 5)
    assert (use.by_status, use.gpus[0].jobs, use.gpus[0].halala) == ({"completed": 3}, 3, 54)
    assert use.mean_seconds == pytest.approx(215 / 3)
