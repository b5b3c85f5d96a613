"""What a settled job cost, given back by an operator: to its renter all of it, from its provider what is still there.

The bill stays as it was settled: days, months and totals go on counting it, and the ledger says beside it what was
given back.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from dc1.domain import errors
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.domain.money.pricing import MAX_BALANCE_HALALA
from dc1.storage.accounts import renters
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.money import counters, ledger, promo_earnings
from dc1.storage.money.ledger import Transfer
from dc1.storage.schema.tables import movements, providers


@dataclass(frozen=True, slots=True)
class ChargeReturn:
    """A charge that was given back, in halala: how much, what of it its provider had left, and the wallet after it."""

    entry_id: int
    returned: int
    from_provider: int
    new_balance: int


def give_back(conn: Connection, job: JobRow, reason: str, now_ms: int) -> ChargeReturn:
    """Give what a job cost back to its renter, once.

    Raises:
        nothing_charged: it cost nothing, or has not ended.
        charge_returned: it was given back before.
        balance_limit_exceeded: the wallet would hold more than it may.
    """
    charged = job.actual_cost_halala or 0
    if not charged:
        raise errors.nothing_charged(job.status)
    renter = renters.lock_known(conn, job.renter_id)
    ref = f"job:{job.id}"
    given = select(movements.c.id).where(movements.c.kind == MovementKind.CHARGE_RETURNED, movements.c.ref == ref)
    if (entry_id := conn.execute(given).scalar()) is not None:
        raise errors.charge_returned(entry_id)
    if renter.balance_halala + renter.held_halala + charged > MAX_BALANCE_HALALA:
        raise errors.balance_limit_exceeded()
    # Credit was charged before money, and is no money now.
    promo = min(job.promo_held_halala, charged)
    renters.count_credit(conn, job.renter_id, promo, 0)
    platform = ledger.system(AccountKind.PLATFORM, job.id)
    takes = _take(conn, job, platform, ref, reason)
    wallet = ledger.wallet(job.renter_id)
    gives = Transfer(MovementKind.CHARGE_RETURNED, ref, charged, platform, wallet, job.id, note=reason, promo=promo)
    entry_id, *_ = ledger.post(conn, [gives, *takes], now_ms)
    counters.change(conn, job.renter_id, wallets_halala=charged)
    return ChargeReturn(entry_id, charged, sum(each.amount for each in takes), renter.balance_halala + charged)


def _take(conn: Connection, job: JobRow, platform: ledger.Account, ref: str, reason: str) -> list[Transfer]:
    """Return what is taken from who earned it: what it could still be paid out, for nobody is to owe the market."""
    if not job.earned_halala or job.provider_id is None:
        return []
    owner = select(func.coalesce(providers.c.owner_id, providers.c.id)).where(providers.c.id == job.provider_id)
    owner_id = conn.execute(owner).scalar_one()
    ledger.lock_owners(conn, [owner_id])
    kept = promo_earnings.take_back(conn, owner_id, job.renter_id, job.promo_earned_halala or 0)
    paid = min(job.earned_halala - kept, ledger.balance(conn, ledger.payable(owner_id)))
    parts = ((ref, paid, 0, ledger.payable), (f"{ref}:promo", kept, kept, ledger.promo_earnings))
    return [
        Transfer(MovementKind.EARNINGS_RETURNED, name, amount, account(owner_id), platform, job.id, reason, promo)
        for name, amount, promo, account in parts
        if amount
    ]
