import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.storage.accounts import idempotency, renters, wallets
from dc1.storage.accounts.idempotency import IdempotencyKey, KeptAnswer
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import lifecycle
from dc1.storage.money import ledger, ledger_audit, ledger_reports
from dc1.storage.money.ledger import Transfer
from tests.storage.market import NOW, Market, job_for


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def test_the_starter_credit_is_one_entry(market: Market) -> None:
    renter = await market.renter(credit=1000)
    page = await market.see(wallets.entries, renter, limit=10)
    assert page.total == 1
    (entry,) = page.rows
    assert (entry.kind, entry.amount_halala, entry.balance_after_halala, entry.job_id) == (
        "starter_credit",
        1000,
        1000,
        None,
    )
    assert (await market.see(ledger_audit.trial_balance)).balances[AccountKind.PROMO] == -1000
    await market.renter(credit=0)
    await market.check_books()


async def test_wallet_entries_tell_the_balance_after_each(market: Market) -> None:
    renter = await market.renter()
    await market.do(wallets.top_up, renter, 500, "t1", NOW)
    job = await market.submit(renter)
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
    await market.do(wallets.credit, renter, 7, "c1", "sorry", NOW)
    change = await market.do(wallets.adjust, renter, -1000, "a1", None, NOW)
    assert (change.previous_balance, change.new_balance) == (1507, 507)
    page = await market.see(wallets.entries, renter, limit=10)
    assert [(entry.kind, entry.amount_halala, entry.balance_after_halala) for entry in page.rows] == [
        ("admin_adjustment", -1000, 507),
        ("admin_credit", 7, 1507),
        ("refund", 45, 1500),
        ("hold", -45, 1455),
        ("topup", 500, 1500),
        ("starter_credit", 1000, 1000),
    ]
    assert [entry.job_id for entry in page.rows[2:4]] == [job.job_id] * 2
    assert page.rows[1].note == "sorry"
    debits = await market.see(wallets.entries, renter, limit=1, direction=wallets.Direction.DEBIT)
    assert (debits.total, debits.rows[0].kind) == (2, "admin_adjustment")
    await market.check_books()


async def test_a_wallet_stays_within_its_limits(market: Market) -> None:
    renter = await market.renter()
    with pytest.raises(ApiError, match="Balance limit exceeded"):
        await market.do(wallets.top_up, renter, 2_000_000_000 - 999, "t", NOW)
    with pytest.raises(ApiError, match="Balance cannot go below 0"):
        await market.do(wallets.adjust, renter, -1001, "a", None, NOW)
    with pytest.raises(ApiError, match="Renter not found"):
        await market.do(wallets.top_up, 999, 1, "t", NOW)
    assert (await market.do(wallets.top_up, renter, 2_000_000_000 - 1000, "t", NOW)).new_balance == 2_000_000_000
    assert (await market.do(wallets.adjust, renter, -2_000_000_000, "a", None, NOW)).new_balance == 0
    assert (await market.do(wallets.adjust, renter, 0, "b", None, NOW)).new_balance == 0
    await market.check_books()


async def test_a_full_wallet_takes_back_what_is_on_hold(market: Market) -> None:
    renter = await market.renter()
    job = await market.submit(renter)
    with pytest.raises(ApiError, match="Balance limit exceeded"):
        await market.do(wallets.credit, renter, 2_000_000_000 - 999, "c", "a gift", NOW)
    await market.do(wallets.credit, renter, 2_000_000_000 - 1000, "c", "a gift", NOW)
    assert await market.wallet(renter) == (2_000_000_000 - 45, 45)
    assert await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW) is not None
    assert await market.wallet(renter) == (2_000_000_000, 0)
    await market.check_books()


async def test_a_movement_happens_once(market: Market) -> None:
    renter = await market.renter()
    await market.do(wallets.top_up, renter, 500, "same", NOW)
    with pytest.raises(IntegrityError):
        await market.do(wallets.top_up, renter, 500, "same", NOW)
    assert await market.wallet(renter) == (1500, 0)
    await market.check_books()


async def test_a_wrong_entry_is_made_good_by_its_opposite(market: Market) -> None:
    renter = await market.renter()
    wrong = await market.do(wallets.top_up, renter, 500, "t1", NOW)
    taken = await market.do(wallets.adjust, renter, -300, "a1", None, NOW)
    back = await market.do(wallets.reverse, wrong.movement_id, "typed twice", NOW + 1)
    assert (back.previous_balance, back.new_balance) == (1200, 700)
    assert (await market.do(wallets.reverse, taken.movement_id, "not theirs", NOW + 2)).new_balance == 1000
    page = await market.see(wallets.entries, renter, limit=2)
    assert [(entry.kind, entry.amount_halala, entry.note) for entry in page.rows] == [
        ("reversal", 300, "not theirs"),
        ("reversal", -500, "typed twice"),
    ]
    listed = (await market.see(ledger_reports.entries, since_ms=0, limit=10)).rows
    assert [(entry.source, entry.target, entry.reverses) for entry in listed[:2]] == [
        ("adjustment", "wallet", taken.movement_id),
        ("wallet", "external", wrong.movement_id),
    ]
    assert {entry.id: entry.reversed_by for entry in listed[2:4]} == {
        wrong.movement_id: listed[1].id,
        taken.movement_id: listed[0].id,
    }
    balances = (await market.see(ledger_audit.trial_balance)).balances
    assert balances[AccountKind.EXTERNAL] == balances[AccountKind.ADJUSTMENT] == 0
    (day,) = (await market.see(ledger_reports.by_day, NOW)).values()
    assert (day.entries, day.credited) == (5, 1000)
    await market.check_books()


async def test_an_entry_is_reversed_once(market: Market) -> None:
    renter = await market.renter()
    wrong = await market.do(wallets.top_up, renter, 500, "t1", NOW)
    calls = [market.do(wallets.reverse, wrong.movement_id, "typed twice", NOW) for _ in range(8)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [result for result in results if isinstance(result, ApiError)]
    assert {(error.status, error.message) for error in refusals} == {(409, "Ledger entry is already reversed")}
    (made,) = [result for result in results if isinstance(result, wallets.WalletChange)]
    assert {error.context["reversed_by"] for error in refusals} == {made.movement_id}
    assert await market.wallet(renter) == (1000, 0)
    await market.check_books()


async def test_what_belongs_to_a_job_or_is_a_correction_stands(market: Market) -> None:
    renter = await market.renter()
    job = await market.submit(renter)
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
    wrong = await market.do(wallets.top_up, renter, 500, "t1", NOW)
    await market.do(wallets.reverse, wrong.movement_id, "typed twice", NOW)
    for entry in (await market.see(ledger_reports.entries, since_ms=0, limit=10)).rows:
        if entry.kind in ("hold", "refund", "reversal"):
            with pytest.raises(ApiError, match="Ledger entry cannot be reversed") as caught:
                await market.do(wallets.reverse, entry.id, "why not", NOW)
            assert caught.value.context == {"kind": entry.kind}
    with pytest.raises(ApiError, match="Ledger entry not found"):
        await market.do(wallets.reverse, 999, "why not", NOW)
    assert await market.wallet(renter) == (1000, 0)
    await market.check_books()


async def test_a_reversal_stays_within_the_limits_of_the_wallet(market: Market) -> None:
    renter = await market.renter(credit=0)
    credit = await market.do(wallets.credit, renter, 45, "c1", "sorry", NOW)
    job = await market.submit(renter)
    with pytest.raises(ApiError, match="Balance cannot go below 0"):
        await market.do(wallets.reverse, credit.movement_id, "a mistake", NOW)
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
    await market.do(wallets.reverse, credit.movement_id, "a mistake", NOW)
    await market.do(wallets.top_up, renter, 2_000_000_000, "t1", NOW)
    taken = await market.do(wallets.adjust, renter, -1, "a1", None, NOW)
    await market.do(wallets.top_up, renter, 1, "t2", NOW)
    with pytest.raises(ApiError, match="Balance limit exceeded"):
        await market.do(wallets.reverse, taken.movement_id, "a mistake", NOW)
    assert await market.wallet(renter) == (2_000_000_000, 0)
    await market.check_books()


async def test_verify_finds_a_reversal_that_is_not_the_opposite(market: Market) -> None:
    renter = await market.renter(credit=0)
    change = await market.do(wallets.credit, renter, 45, "c1", "sorry", NOW)
    ends = (ledger.wallet(renter), ledger.system(AccountKind.ADJUSTMENT, renter))
    less = Transfer(MovementKind.REVERSAL, f"entry:{change.movement_id}", 44, *ends)
    of_nothing = Transfer(MovementKind.REVERSAL, "entry:99", 1, *ends)
    for wrong in await market.do(ledger.post, [less, of_nothing], NOW):
        assert [
            text for text in await market.see(ledger_audit.verify) if text.startswith(f"entry {wrong} does not undo")
        ]


async def test_the_database_refuses_what_no_rule_caught(market: Market) -> None:
    renter = await market.renter()
    hold, wallet = ledger.hold(renter), ledger.wallet(renter)
    with pytest.raises(IntegrityError):
        await market.do(ledger.post, [Transfer(MovementKind.REFUND, "x", 1, hold, wallet)], NOW)
    with pytest.raises(LookupError):
        await market.do(ledger.post, [Transfer(MovementKind.HOLD, "x", 1, wallet, ledger.hold(99))], NOW)
    await market.check_books()


async def test_verify_finds_what_is_wrong(market: Market) -> None:
    renter = await market.renter()
    await market.submit(renter)
    await market.do(lambda conn: conn.execute(text("UPDATE accounts SET balance_halala = 46 WHERE kind = 'hold'")))
    await market.do(lambda conn: conn.execute(text("UPDATE totals SET jobs_queued = 7, renters = 9")))
    problems = await market.see(ledger_audit.verify)
    assert "account hold 1 has a balance of 46, its postings come to 45" in problems
    assert "renter 1 has 46 on hold, the open jobs cost 45" in problems
    assert {problem.split()[2] for problem in problems if problem.startswith("the counter")} == {
        "jobs_queued",
        "renters",
    }
    assert (await market.see(ledger_audit.trial_balance)).difference_halala == 1


async def test_two_submits_for_the_last_money(market: Market) -> None:
    for _ in range(10):
        renter = await market.renter(credit=45)
        results = await asyncio.gather(market.submit(renter), market.submit(renter), return_exceptions=True)
        refusals = [result for result in results if isinstance(result, ApiError)]
        assert len(refusals) == 1
        assert refusals[0].status == 402
        assert await market.wallet(renter) == (0, 45)
    await market.check_books()


KEY = IdempotencyKey("renter:1", "POST /jobs/submit", "k1 مفتاح")


def answered(conn: Connection, renter: int, request_hash: str, now_ms: int) -> bytes:
    """A unit of work that honours a key, as services write it."""
    kept = idempotency.begin(conn, KEY, request_hash, now_ms)
    if kept is not None:
        return kept.body
    job = lifecycle.submit(conn, job_for(renter), lifecycle.SubmissionLimits(), now_ms)
    body = job.job_id.encode()
    idempotency.keep(conn, KEY, KeptAnswer(request_hash, 201, body, now_ms + 86_400_000))
    return body


async def test_a_key_replays_its_answer_for_a_day(market: Market) -> None:
    renter = await market.renter()
    first = await market.do(answered, renter, "hash", NOW)
    assert await market.do(answered, renter, "hash", NOW + 86_399_999) == first
    assert await market.wallet(renter) == (955, 45)
    with pytest.raises(ApiError) as caught:
        await market.do(answered, renter, "other", NOW)
    assert caught.value.code == "IDEMPOTENCY_MISMATCH"
    assert await market.do(answered, renter, "other", NOW + 86_400_000) != first
    assert await market.do(idempotency.purge, NOW + 86_400_000, 10) == 0
    assert await market.do(idempotency.purge, NOW + 3 * 86_400_000, 10) == 1


async def test_a_refused_call_keeps_no_answer(market: Market) -> None:
    renter = await market.renter(credit=44)
    with pytest.raises(ApiError):
        await market.do(answered, renter, "hash", NOW)
    await market.do(wallets.top_up, renter, 1, "t", NOW)
    await market.do(answered, renter, "hash", NOW)
    assert await market.wallet(renter) == (0, 45)


async def test_calls_with_one_key_at_once_have_one_effect(market: Market) -> None:
    renter = await market.renter()
    calls = [market.do(answered, renter, "hash", NOW) for _ in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    bodies = {result for result in results if isinstance(result, bytes)}
    errors = [result for result in results if isinstance(result, BaseException)]
    assert len(bodies) == 1
    assert all(isinstance(error, ApiError) and error.code == "IDEMPOTENCY_IN_PROGRESS" for error in errors)
    assert await market.wallet(renter) == (955, 45)
    row = await market.see(renters.get, renter)
    assert row is not None
    assert row.total_jobs == 1
