"""Owners with many machines, as they are stored: who is paid, and who stays when another one goes."""

from dataclasses import dataclass

import pytest

from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import wallets
from dc1.storage.engine.database import Database
from dc1.storage.jobs import lifecycle
from dc1.storage.money import promo_earnings, withdrawals
from dc1.storage.providers import owners, providers
from dc1.storage.providers.owners import NewMachine
from tests.storage.market import NOW, Market

IBAN = "SA0380000000608010167519"
LATER = NOW + 180_000


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


@dataclass(frozen=True)
class Farm:
    owner: int
    machines: list[int]


@pytest.fixture
async def farm(market: Market) -> Farm:
    owner = await market.provider()
    return Farm(owner, [await market.machine(owner) for _ in range(3)])


async def run(market: Market, renter: int, machine: int, **terms: int) -> None:
    job = await market.running(renter, machine, **terms)
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, LATER)


async def test_earnings_of_all_machines_are_in_the_owners_wallet(market: Market, farm: Farm) -> None:
    renter = await market.renter()
    await market.do(wallets.top_up, renter, 1000, "t1", NOW)
    for machine in (farm.owner, *farm.machines):
        await run(market, renter, machine)
    await market.check_books()
    earned = await market.see(providers.earnings, farm.owner)
    # 45 halala each, of which three quarters are 33.75: by owner exactly 135, by machine it would be 136.
    assert (earned.total_halala, earned.available_halala) == (135, 135)
    assert sum((await market.see(owners.earned_by_machine, farm.owner)).values()) == 135
    assert [day.earned_halala for day in await market.see(providers.earnings_by_day, farm.owner, NOW)] == [135]
    alone = await market.see(providers.earnings, farm.machines[0])
    assert (alone.total_halala in (33, 34), alone.available_halala) == (True, 0)
    with pytest.raises(ApiError):
        await market.do(withdrawals.create, farm.machines[0], 10, IBAN, LATER)
    await market.do(withdrawals.create, farm.owner, 135, IBAN, LATER)
    await market.check_books()


async def test_starter_credit_that_a_machine_earns_waits_with_its_owner(market: Market, farm: Farm) -> None:
    renter = await market.renter()
    await run(market, renter, farm.machines[1])
    kept = (await market.see(providers.earnings, farm.owner)).promo_halala
    assert kept == 34
    assert await market.do(promo_earnings.release_of_provider, farm.owner, "known", LATER) == kept
    await market.check_books()


async def test_a_suspended_owner_is_given_no_claim_on_any_machine(market: Market, farm: Farm) -> None:
    first, second, _ = farm.machines
    await market.do(owners.set_suspended, first, True)
    everybody = {farm.owner, *farm.machines}
    assert await market.do(owners.set_suspended, farm.owner, True) == dict.fromkeys(everybody, True)
    renter = await market.renter()
    with pytest.raises(AssertionError):
        await market.running(renter, second)
    lifted = await market.do(owners.set_suspended, farm.owner, False)
    assert lifted == {**dict.fromkeys(everybody, False), first: True}


async def test_closing_an_account_closes_its_machines_and_no_others(market: Market, farm: Farm) -> None:
    other = await market.provider()
    assert await market.do(owners.mark_deleted, farm.machines[0], NOW, LATER) == farm.machines[:1]
    assert await market.see(owners.machine_ids, farm.owner) == [farm.owner, *farm.machines[1:]]
    assert await market.do(owners.mark_deleted, farm.owner, NOW, LATER) == [farm.owner, *farm.machines[1:]]
    with pytest.raises(ApiError):
        await market.machine(farm.owner)
    erased = await market.do(providers.erase_due, LATER)
    assert {row.id for row in erased} == {farm.owner, *farm.machines}
    row = await market.see(providers.get, other)
    assert row is not None
    assert row.deleted_at_ms is None


async def test_machines_are_bounded_and_take_the_owners_settings(market: Market, farm: Farm) -> None:
    await market.do(providers.set_preferences, farm.owner, ask_pct=90)
    with pytest.raises(ApiError):
        await market.do(owners.add_machine, farm.owner, NewMachine("M", "T4", "linux"), 4, NOW)
    with pytest.raises(ApiError):
        await market.do(owners.add_machine, farm.machines[0], NewMachine("M", "T4", "linux"), 9, NOW)
    row = await market.see(providers.get, await market.machine(farm.owner))
    owner = await market.see(providers.get, farm.owner)
    assert row is not None
    assert owner is not None
    assert (row.ask_pct, row.email, row.owner_id) == (90, owner.email, farm.owner)
