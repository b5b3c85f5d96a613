import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.domain.money.bookkeeping import AccountKind
from dc1.domain.money.withdrawals import WithdrawalStatus
from dc1.storage.accounts import wallets
from dc1.storage.engine.database import Database
from dc1.storage.jobs import lifecycle
from dc1.storage.money import ledger_audit, ledger_reports, withdrawals
from dc1.storage.money.withdrawals import WithdrawalRow
from dc1.storage.providers import owners, providers
from tests.storage.market import NOW, Market

IBAN = "SA0380000000608010167519"
EARNED = 34
LATER = NOW + 200_000


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


@pytest.fixture
async def provider(market: Market) -> int:
    """A provider that has earned 34 halala."""
    provider_id = await market.provider()
    renter = await market.renter()
    # What starter credit earns could not be withdrawn.
    await market.do(wallets.top_up, renter, 100, "t1", NOW)
    job = await market.running(renter, provider_id)
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW + 180_000)
    return provider_id


async def ask(market: Market, provider_id: int, amount: int = 10) -> WithdrawalRow:
    return await market.do(withdrawals.create, provider_id, amount, IBAN, LATER)


async def move(market: Market, row: WithdrawalRow, status: str, reason: str | None = None) -> WithdrawalRow:
    return await market.do(withdrawals.change_status, row.withdrawal_id, WithdrawalStatus(status), reason, LATER + 1)


async def test_the_amount_waits_until_it_is_paid(market: Market, provider: int) -> None:
    row = await ask(market, provider)
    assert (row.status, row.amount_halala, row.iban, row.reason) == ("pending", 10, IBAN, None)
    earned = await market.see(providers.earnings, provider)
    assert (earned.total_halala, earned.available_halala, earned.pending_withdrawal_halala) == (EARNED, 24, 10)
    await market.check_books()
    assert (await move(market, row, "processing")).status == "processing"
    assert await market.see(withdrawals.last_paid_ms, provider) is None
    assert (await move(market, row, "paid", "ignored")).reason is None
    earned = await market.see(providers.earnings, provider)
    assert (earned.available_halala, earned.pending_withdrawal_halala) == (24, 0)
    assert (await market.see(ledger_audit.trial_balance)).balances[AccountKind.EXTERNAL] == 10 - 100
    assert await market.see(withdrawals.last_paid_ms, provider) == LATER + 1
    await market.check_books()


async def test_of_a_closed_account_a_hint_of_the_bank_account_stays(market: Market, provider: int) -> None:
    row = await ask(market, provider)
    await move(market, row, "paid")
    await market.do(owners.mark_deleted, provider, LATER, LATER + 9)
    for _ in range(2):
        await market.do(providers.erase_due, LATER + 9)
        (kept,) = (await market.see(withdrawals.page, limit=9)).rows
        assert (kept.iban, kept.amount_halala) == ("SA******************7519", 10)


@pytest.mark.parametrize("status", ["failed", "rejected"])
async def test_what_is_not_paid_goes_back(market: Market, provider: int, status: str) -> None:
    row = await ask(market, provider, EARNED)
    assert (await move(market, row, status, "closed account")).reason == "closed account"
    earned = await market.see(providers.earnings, provider)
    assert (earned.available_halala, earned.pending_withdrawal_halala) == (EARNED, 0)
    entries = await market.see(ledger_reports.entries, since_ms=0, limit=2)
    assert [(entry.kind, entry.provider_id, entry.note) for entry in entries.rows] == [
        ("payout_returned", provider, "closed account"),
        ("withdrawal", provider, None),
    ]
    await market.check_books()
    await ask(market, provider, EARNED)


async def test_refusals_leave_nothing_behind(market: Market, provider: int) -> None:
    with pytest.raises(ApiError, match="Insufficient available earnings") as caught:
        await ask(market, provider, EARNED + 1)
    assert caught.value.context == {"available_halala": EARNED, "requested_halala": EARNED + 1}
    row = await ask(market, provider)
    with pytest.raises(ApiError, match="A withdrawal is already pending"):
        await ask(market, provider)
    with pytest.raises(ApiError, match="Withdrawal not found"):
        await market.do(withdrawals.change_status, "wreq-nope", WithdrawalStatus.PAID, None, NOW)
    await move(market, row, "paid")
    for status in ("paid", "failed", "processing"):
        with pytest.raises(ApiError, match=f"Cannot change withdrawal from paid to {status}"):
            await move(market, row, status)
    assert (await market.see(withdrawals.page, limit=10)).total == 1
    await market.check_books()


async def test_one_is_open_at_a_time_whoever_asks(market: Market, provider: int) -> None:
    for _ in range(3):
        results = await asyncio.gather(*[ask(market, provider, 2) for _ in range(8)], return_exceptions=True)
        opened = [result for result in results if isinstance(result, WithdrawalRow)]
        refusals = [result for result in results if isinstance(result, ApiError)]
        assert (len(opened), len(refusals)) == (1, 7)
        assert {str(refusal) for refusal in refusals} == {"A withdrawal is already pending"}
        moves = [move(market, opened[0], status) for status in ("paid", "failed") * 4]
        moved = await asyncio.gather(*moves, return_exceptions=True)
        assert sum(isinstance(result, WithdrawalRow) for result in moved) == 1
        await market.check_books()


async def test_the_database_itself_allows_one(market: Market, provider: int) -> None:
    await ask(market, provider)
    another = text(
        "INSERT INTO withdrawals"
        " (withdrawal_id, provider_id, amount_halala, iban, status, created_at_ms, updated_at_ms)"
        " VALUES ('wreq-2', :provider, 1, 'x', 'processing', 0, 0)"
    )
    with pytest.raises(IntegrityError):
        await market.db.write(lambda conn: conn.execute(another, {"provider": provider}))


async def test_money_is_asked_for_while_more_is_earned(market: Market, provider: int) -> None:
    renter = await market.renter()
    await market.do(wallets.top_up, renter, 300, "t2", NOW)
    jobs = [await market.running(renter, provider) for _ in range(5)]
    ends = [market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW + 180_000) for job in jobs]
    results = await asyncio.gather(*ends, ask(market, provider, EARNED), return_exceptions=True)
    assert [result for result in results if isinstance(result, BaseException)] == []
    earned = await market.see(providers.earnings, provider)
    # Of six shares of 11.25 the platform has 67: one halala more than six times 11.
    assert (earned.available_halala, earned.pending_withdrawal_halala) == (5 * EARNED - 1, EARNED)
    await market.check_books()


async def test_lists_are_newest_first(market: Market, provider: int) -> None:
    for amount in (1, 2, 3):
        await move(market, await ask(market, provider, amount), "paid")
    newest = await ask(market, provider, 4)
    page = await market.see(withdrawals.page, limit=2, offset=1, provider_id=provider)
    assert ([row.amount_halala for row in page.rows], page.total) == ([3, 2], 4)
    assert page.rows[0].provider_name.startswith("Provider ")
    pending = await market.see(withdrawals.page, limit=10, status=WithdrawalStatus.PENDING)
    assert ([row.id for row in pending.rows], pending.total) == ([newest.id], 1)
    assert (await market.see(withdrawals.page, limit=10, provider_id=provider + 1)).rows == []


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("UPDATE withdrawals SET status = 'paid'", "provider {0} has 10 under way, the open withdrawals come to 0"),
        ("UPDATE withdrawals SET status = 'paid'", "withdrawal {1} of 10 is paid; the ledger says asked 10, paid 0"),
        ("UPDATE withdrawals SET amount_halala = 9", "withdrawal {1} of 9 is pending; the ledger says asked 10"),
    ],
)
async def test_the_books_notice_a_changed_withdrawal(
    market: Market, provider: int, tampering: str, problem: str
) -> None:
    row = await ask(market, provider)
    await market.db.write(lambda conn: conn.execute(text(tampering)))
    problems = await market.see(ledger_audit.verify)
    assert [said for said in problems if said.startswith(problem.format(provider, row.withdrawal_id))]
