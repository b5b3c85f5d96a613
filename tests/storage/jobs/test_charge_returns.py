"""What a settled job cost is given back once, and its provider gives what it still has of it."""

import asyncio

import pytest

from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import renters, wallets
from dc1.storage.engine.database import Database
from dc1.storage.jobs import charge_returns, lifecycle
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.money import withdrawals
from dc1.storage.providers import providers
from tests.storage.market import NOW, Market

IBAN = "SA0380000000608010167519"
LATER = NOW + 200_000
# Three minutes of inference on an RTX 4090, of which the platform has a quarter.
COST, EARNED = 45, 34


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def charged(market: Market, provider_id: int, *, paid: bool = True) -> JobRow:
    renter = await market.renter()
    if paid:
        await market.do(wallets.top_up, renter, 100, f"t{renter}", NOW)
    job = await market.running(renter, provider_id)
    ended = await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW + 180_000)
    assert ended is not None
    return ended.job


async def test_the_renter_has_it_back_once_and_what_was_credit_is_credit(market: Market) -> None:
    provider_id = await market.provider()
    job = await charged(market, provider_id)
    before = await market.see(renters.known, job.renter_id)
    done = await market.do(charge_returns.give_back, job, "made up", LATER)
    assert (done.returned, done.from_provider) == (COST, EARNED)
    after = await market.see(renters.known, job.renter_id)
    assert after.balance_halala == done.new_balance == before.balance_halala + COST
    assert after.promo_halala == before.promo_halala + job.promo_held_halala
    # The bill stays as it was settled.
    assert after.total_spent_halala == before.total_spent_halala == COST
    assert (await market.see(providers.earnings, provider_id)).available_halala == 0
    await market.check_books()
    with pytest.raises(ApiError, match="given back already") as refusal:
        await market.do(charge_returns.give_back, job, "again", LATER)
    assert refusal.value.context == {"returned_by": done.entry_id}
    await market.check_books()


async def test_what_is_kept_apart_is_never_paid_out_afterwards(market: Market) -> None:
    provider_id = await market.provider()
    job = await charged(market, provider_id, paid=False)
    assert job.promo_earned_halala == EARNED
    assert (await market.do(charge_returns.give_back, job, "made up", LATER)).from_provider == EARNED
    # The renter's money releases what providers earned from its credit.
    await market.do(wallets.top_up, job.renter_id, 100, "later", LATER)
    earned = await market.see(providers.earnings, provider_id)
    assert (earned.available_halala, earned.promo_halala) == (0, 0)
    await market.check_books()


async def test_what_was_asked_for_is_not_taken(market: Market) -> None:
    provider_id = await market.provider()
    job = await charged(market, provider_id)
    await market.do(withdrawals.create, provider_id, 30, IBAN, LATER)
    assert (await market.do(charge_returns.give_back, job, "made up", LATER)).from_provider == EARNED - 30
    await market.check_books()


async def test_of_a_return_and_a_withdrawal_at_once_both_are_right(market: Market) -> None:
    """Neither is an internal error, whichever is first."""
    provider_id = await market.provider()
    jobs = [await charged(market, provider_id) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(market.do(charge_returns.give_back, job, "made up", LATER) for job in jobs),
        market.do(withdrawals.create, provider_id, EARNED, IBAN, LATER),
        return_exceptions=True,
    )
    assert all(not isinstance(each, BaseException) or isinstance(each, ApiError) for each in outcomes), outcomes
    await market.check_books()


async def test_what_cost_nothing_cannot_be_given_back(market: Market) -> None:
    renter, provider_id = await market.renter(), await market.provider()
    running = await market.running(renter, provider_id)
    with pytest.raises(ApiError, match="no charge") as refusal:
        await market.do(charge_returns.give_back, running, "made up", LATER)
    assert refusal.value.context == {"status": "running"}
