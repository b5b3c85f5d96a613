"""What settlements leave below one halala is carried: sums over many are exact to one halala."""

import asyncio
import random
from collections import Counter

import pytest
from sqlalchemy import text

from dc1.domain.base.json_types import JsonValue
from dc1.domain.inference.usage import RelayedText
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor, JobSource
from dc1.domain.money.bookkeeping import AccountKind
from dc1.domain.money.pricing import Settlement
from dc1.storage.accounts import wallets
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import lifecycle
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.money import ledger_audit
from dc1.storage.providers import providers
from tests.storage.market import NOW, Market

ASKED = "How deep is the sea here"
ANSWER: JsonValue = {"type": "text", "response": "x" * 1000}


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def call(market: Market, renter: int, provider: int, price: int, *, held: int | None = None) -> JobRow:
    """A /v1 call that the provider answers."""
    spec = JobSpec({}, {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 1000})
    cost = -(-(len(ASKED) + 1000) * price // 10**6)
    return await market.running(
        renter,
        provider,
        spec=spec,
        source=JobSource.V1,
        duration_minutes=None,
        rate_halala_per_minute=0,
        token_price_halala=price,
        cost_halala=cost if held is None else held,
    )


def answer(prompt: int, completion: int) -> AttemptReport:
    return AttemptReport(completed=True, result=ANSWER, prompt_tokens=prompt, completion_tokens=completion)


def settled(moved: lifecycle.Transition | None) -> Settlement:
    assert moved is not None
    assert moved.settlement is not None
    assert moved.job.actual_cost_halala == moved.settlement.actual
    assert moved.job.dc1_fee_halala == moved.settlement.platform
    return moved.settlement


async def end(market: Market, job: JobRow, report: AttemptReport, now_ms: int = NOW + 1000) -> Settlement:
    return settled(await market.do(lifecycle.finish, job.id, report, now_ms))


async def test_the_first_call_costs_what_the_contract_says_and_the_hundred_after_it_the_rest(market: Market) -> None:
    """120 + 380 tokens at 19 are 9 500 millionths: a hundred and five of them fit in one halala."""
    renter, provider = await market.renter(), await market.provider()
    costs = []
    for _ in range(106):
        job = await call(market, renter, provider, 19)
        costs.append((await end(market, job, answer(24, 476))).actual)
    assert costs == [1] + [0] * 104 + [1]
    assert await market.wallet(renter) == (998, 0)
    trial = await market.see(ledger_audit.trial_balance)
    # All of it was starter credit: the provider has a halala of the two, and its exact share is 106 times 7125.
    assert (trial.carried_prices, trial.carried_shares) == (2 * 10**6 - 106 * 9500, 10**6 - 106 * 7125)
    await market.check_books()


async def test_fees_below_a_halala_add_up_for_the_platform(market: Market) -> None:
    """A quarter of a halala a call is a halala after four."""
    renter, provider = await market.renter(), await market.provider()
    fees = []
    for _ in range(8):
        job = await call(market, renter, provider, 10**6, held=10)
        fees.append((await end(market, job, answer(0, 1))).platform)
    assert fees == [0, 0, 0, 1, 0, 0, 0, 1]
    row = await market.see(providers.get, provider)
    assert row is not None
    assert row.total_earned_halala == 6
    await market.check_books()


async def cut_off(market: Market, job: JobRow, how: str, relayed: RelayedText) -> Settlement:
    """End a call that somebody has text of and nobody reports on."""
    if how == "cancelled":
        return settled(await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW, relayed=relayed))

    def lose(conn: Connection) -> lifecycle.Transition | None:
        conn.execute(text("UPDATE jobs SET max_retries = retry_count"))
        return lifecycle.lose(conn, job.id, 1, NOW, queue_deadline_seconds=0, relayed=relayed)

    return settled(await market.db.write(lose))


async def test_sums_over_many_settlements_of_any_kind_are_exact_to_one_halala(market: Market) -> None:
    chance = random.Random(7)
    renters = [await market.renter(), await market.renter(credit=200)]
    machines = [await market.provider(gpus=64) for _ in range(2)]
    for number, renter in enumerate(renters):
        await market.do(wallets.top_up, renter, 10_000, f"t{number}", NOW)
    prices, charged, exact, got = Counter[int](), Counter[int](), Counter[int](), Counter[int]()
    for _ in range(60):
        renter, machine, price = chance.choice(renters), chance.choice(machines), chance.choice([19, 3000, 400_000])
        how = chance.choice(["answered", "cancelled", "lost", "failed", "by time"])
        tokens, settlement = 0, None
        if how == "by time":
            job = await market.running(renter, machine, fee_bps=chance.choice([2500, 1, 3333]))
            done = AttemptReport(completed=True, result={"n": 1})
            settlement = await end(market, job, done, NOW + chance.randrange(95_000))
            exact[machine] += settlement.actual * (10_000 - job.fee_bps) * 100
        else:
            job = await call(market, renter, machine, price)
            if how == "answered":
                said = (chance.randrange(25), chance.randrange(900))
                tokens, settlement = sum(said), await end(market, job, answer(*said))
            elif how == "failed":
                settlement = await end(market, job, AttemptReport(completed=False, error="The engine failed"))
            else:
                relayed = RelayedText(500, chance.randrange(1, 400))
                tokens, settlement = 6 + relayed.tokens, await cut_off(market, job, how, relayed)
            prices[renter] += tokens * price
            charged[renter] += settlement.actual
            exact[machine] += tokens * price - tokens * price // 4
        got[machine] += settlement.provider + settlement.advance
    assert {renter: charged[renter] for renter in renters} == {one: -(-prices[one] // 10**6) for one in renters}
    for machine in machines:
        # Of starter credit and of money each, as neither makes good for the other.
        assert abs(got[machine] * 10**6 - exact[machine]) < 2 * 10**6
        row = await market.see(providers.get, machine)
        assert row is not None
        assert row.total_earned_halala == got[machine]
    await market.check_books()


async def test_a_renter_with_a_machine_of_its_own_uses_no_rival_for_nothing(market: Market) -> None:
    """It lets the call that makes the halala run at home: 100 calls of a rival's, then the one that is charged."""
    renter, own, rival = await market.renter(credit=0), await market.provider(gpus=64), await market.provider(gpus=64)
    await market.do(wallets.top_up, renter, 1000, "t", NOW)
    exact, paid = Counter[int](), 0
    for _ in range(4):
        # Close to what is paid ahead: one more of these calls makes the halala.
        for _ in range(10):
            settlement = await end(market, await call(market, renter, rival, 190), answer(24, 476))
            paid, exact[rival] = paid + settlement.actual, exact[rival] + 500 * 190 * 3 // 4
        settlement = await end(market, await call(market, renter, own, 190), answer(24, 280))
        paid, exact[own] = paid + settlement.actual, exact[own] + 304 * 190 * 3 // 4
    earned = {one: await market.see(providers.earnings, one) for one in (own, rival)}
    for one, income in earned.items():
        assert abs(income.total_halala * 10**6 - exact[one]) < 10**6
        assert income.available_halala == income.total_halala
    trial = await market.see(ledger_audit.trial_balance)
    assert trial.balances[AccountKind.PLATFORM] == paid - sum(one.total_halala for one in earned.values())
    await market.check_books()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_calls_it_chooses_each_provider_has_its_share(market: Market, seed: int) -> None:
    """By what it sees of its account it decides where each call runs, so that its own machine is charged for."""
    chance = random.Random(seed)
    renter, own = await market.renter(credit=0), await market.provider(gpus=64)
    rivals = [await market.provider(gpus=64) for _ in range(2)]
    await market.do(wallets.top_up, renter, 1000, "t", NOW)
    exact, got, ahead = Counter[int](), Counter[int](), 0
    for _ in range(50):
        tokens, price = chance.randrange(1, 900), chance.choice([19, 300, 900])
        machine = own if tokens * price > ahead else chance.choice(rivals)
        settlement = await end(market, await call(market, renter, machine, price), answer(0, tokens))
        ahead += settlement.actual * 10**6 - tokens * price
        exact[machine] += tokens * price - tokens * price // 4
        got[machine] += settlement.provider + settlement.advance
        assert abs(got[machine] * 10**6 - exact[machine]) < 10**6
    assert all(got[rival] for rival in rivals) or sum(exact[rival] for rival in rivals) < 2 * 10**6
    await market.check_books()


async def test_calls_paid_with_starter_credit_turn_into_no_cash(market: Market) -> None:
    """A fresh renter pays its credit to one machine, and uses up what that paid ahead at another one."""
    provider, own = await market.provider(gpus=64), await market.provider(gpus=64)
    for _ in range(3):
        renter = await market.renter(credit=10)
        await end(market, await call(market, renter, own, 19), answer(24, 476))
        for _ in range(5):
            await end(market, await call(market, renter, provider, 380), answer(24, 476))
    payer = await market.renter(credit=0)
    await market.do(wallets.top_up, payer, 10, "t", NOW)
    await end(market, await call(market, payer, own, 19), answer(24, 476))
    await end(market, await call(market, payer, provider, 19), answer(24, 476))
    earned = await market.see(providers.earnings, provider)
    assert (earned.total_halala, earned.available_halala) == (2, 0)
    await market.check_books()


async def test_settlements_at_once_lose_no_remainder(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider(gpus=64)
    jobs = [await call(market, renter, provider, 250_000, held=1) for _ in range(16)]
    # Twice each, as a daemon that heard no answer says it again: the second changes nothing.
    moved = await asyncio.gather(
        *(market.do(lifecycle.finish, job.id, answer(0, 1), NOW + 1000) for job in [*jobs, *jobs])
    )
    found = [settled(one) for one in moved if one is not None]
    assert len(found) == 16
    assert sum(one.actual for one in found) == 4
    assert sum(one.provider + one.advance for one in found) == 3
    assert await market.wallet(renter) == (996, 0)
    await market.check_books()


async def test_what_is_refunded_in_full_carries_nothing(market: Market) -> None:
    renter, provider = await market.renter(), await market.provider()
    job = await call(market, renter, provider, 19)
    await end(market, job, AttemptReport(completed=False, error="The engine failed"))
    trial = await market.see(ledger_audit.trial_balance)
    assert (trial.carried_prices, trial.carried_shares) == (0, 0)
    await market.check_books()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE renters SET carried_price_micro_halala = 1",
        "UPDATE providers SET carried_share_micro_halala = 1",
        "UPDATE providers SET carried_promo_share_micro_halala = 1",
        "UPDATE jobs SET carried_share_micro_halala = 1",
        "UPDATE jobs SET carried_promo_share_micro_halala = 1",
        "UPDATE jobs SET advance_halala = 1",
        "UPDATE jobs SET carried_price_micro_halala = 1",
    ],
)
async def test_the_books_tell_a_remainder_that_is_wrong(market: Market, statement: str) -> None:
    renter, provider = await market.renter(), await market.provider()
    await end(market, await call(market, renter, provider, 19), answer(24, 476))

    def spoil(conn: Connection) -> None:
        conn.execute(text(statement))

    await market.db.write(spoil)
    assert len(await market.see(ledger_audit.verify)) >= 1


async def test_starter_credit_that_was_paid_ahead_goes_back_as_credit(market: Market) -> None:
    """The hold is credit; what is not charged of it is credit again, for a call that costs nothing too."""
    renter, provider = await market.renter(credit=2), await market.provider()
    for _ in range(3):
        await end(market, await call(market, renter, provider, 19, held=1), answer(24, 476))
    assert await market.wallet(renter) == (1, 0)
    await market.check_books()
