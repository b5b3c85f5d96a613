"""Money that enters and leaves a renter's wallet outside of jobs, and the list of all that ever did."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, literal, select

from dc1.domain import errors
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.domain.money.pricing import MAX_BALANCE_HALALA
from dc1.storage.accounts import renters
from dc1.storage.engine.row_mapping import Page, Shape
from dc1.storage.money import counters, ledger, reversals
from dc1.storage.money.ledger import Transfer
from dc1.storage.schema.tables import jobs, movements, postings


class Direction(StrEnum):
    """Whether an entry raised or lowered the balance."""

    CREDIT = "credit"
    DEBIT = "debit"


@dataclass(frozen=True, slots=True)
class WalletEntry:
    """One posting on a wallet; `amount_halala` is negative for a debit, `job_id` public."""

    id: int
    kind: MovementKind
    amount_halala: int
    balance_after_halala: int
    job_id: str | None
    note: str | None
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class WalletChange:
    """A change that was made: the movement's id, and the balance before and after it."""

    movement_id: int
    previous_balance: int
    new_balance: int


_shape = Shape(
    WalletEntry,
    postings,
    id=movements.c.id,
    kind=movements.c.kind,
    job_id=jobs.c.job_id,
    note=movements.c.note,
    created_at_ms=movements.c.created_at_ms,
)


def top_up(conn: Connection, renter_id: int, amount_halala: int, ref: str, now_ms: int) -> WalletChange:
    """Pay `amount_halala` (> 0) in; `ref` is unique among top-ups.

    Refused with `Renter not found`, and above 2 000 000 000, what is on hold included, with the balance limit.
    """
    source = ledger.system(AccountKind.EXTERNAL, renter_id)
    return _change(conn, renter_id, amount_halala, MovementKind.TOPUP, ref, source, None, now_ms)


def credit(conn: Connection, renter_id: int, amount_halala: int, ref: str, reason: str, now_ms: int) -> WalletChange:
    """Give `amount_halala` (> 0) by an admin; `ref` is unique among credits. Refused as `top_up`."""
    source = ledger.system(AccountKind.ADJUSTMENT, renter_id)
    return _change(conn, renter_id, amount_halala, MovementKind.ADMIN_CREDIT, ref, source, reason, now_ms)


def adjust(
    conn: Connection, renter_id: int, amount_halala: int, ref: str, reason: str | None, now_ms: int
) -> WalletChange:
    """Raise or lower a balance by an admin; `ref` is unique among adjustments.

    Refused as `top_up`, and when the wallet holds less than is taken.
    """
    source = ledger.system(AccountKind.ADJUSTMENT, renter_id)
    return _change(conn, renter_id, amount_halala, MovementKind.ADMIN_ADJUSTMENT, ref, source, reason, now_ms)


def reverse(conn: Connection, movement_id: int, reason: str, now_ms: int) -> WalletChange:
    """Make good a wrong entry by its opposite, once; the entry itself stays as it is.

    Refused as by `_reversible`, then as `adjust` is, where the wallet cannot give back what it got or take back what it
    gave.

    Raises:
        ledger_entry_reversed: another entry took it back before.
    """
    renter_id, amount, source = _reversible(conn, movement_id)
    renters.lock_known(conn, renter_id)
    reversed_by = conn.execute(
        select(movements.c.id).where(reversals.reverses(movements, literal(movement_id)))
    ).scalar()
    if reversed_by is not None:
        raise errors.ledger_entry_reversed(reversed_by)
    ref = reversals.reference(movement_id)
    return _change(conn, renter_id, -amount, MovementKind.REVERSAL, ref, source, reason, now_ms)


def _reversible(conn: Connection, movement_id: int) -> tuple[int, int, ledger.Account]:
    """Return whose wallet an entry changed, by how much, and the account at its other end.

    Raises:
        ledger_entry_not_found: there is no such entry.
        ledger_entry_not_reversible: its kind is not reversible.
    """
    kind = conn.execute(select(movements.c.kind).where(movements.c.id == movement_id)).scalar()
    if kind is None:
        raise errors.ledger_entry_not_found()
    if kind not in reversals.REVERSIBLE:
        raise errors.ledger_entry_not_reversible(kind)
    query = select(postings.c.account_kind, postings.c.owner_id, postings.c.amount_halala)
    ends = {row.account_kind: row for row in conn.execute(query.where(postings.c.movement_id == movement_id))}
    own = ends.pop(AccountKind.WALLET)
    (other,) = ends.values()
    return own.owner_id, own.amount_halala, ledger.Account(other.account_kind, other.owner_id)


def _change(
    conn: Connection,
    renter_id: int,
    amount: int,
    kind: MovementKind,
    ref: str,
    system_account: ledger.Account,
    note: str | None,
    now_ms: int,
) -> WalletChange:
    renter = renters.lock_known(conn, renter_id)
    before = renter.balance_halala
    # What is on hold may come back any time, and a refund must never be refused.
    if amount > 0 and before + renter.held_halala + amount > MAX_BALANCE_HALALA:
        raise errors.balance_limit_exceeded()
    if before + amount < 0:
        raise errors.balance_below_zero()
    # The ledger knows no movement of nothing.
    if amount == 0:
        return WalletChange(movement_id=0, previous_balance=before, new_balance=before)
    ends = (system_account, ledger.wallet(renter_id))
    source, target = ends if amount > 0 else reversed(ends)
    (movement_id,) = ledger.post(conn, [Transfer(kind, ref, abs(amount), source, target, note=note)], now_ms)
    counters.change(conn, renter_id, wallets_halala=amount)
    return WalletChange(movement_id, previous_balance=before, new_balance=before + amount)


def entries(
    conn: Connection, renter_id: int, *, limit: int, offset: int = 0, direction: Direction | None = None
) -> Page[WalletEntry]:
    """Return everything that changed the wallet, newest first."""
    matches = [postings.c.account_kind == AccountKind.WALLET, postings.c.owner_id == renter_id]
    if direction is not None:
        matches.append(postings.c.amount_halala > 0 if direction is Direction.CREDIT else postings.c.amount_halala < 0)
    query = (
        select(*_shape.columns)
        .join(movements, movements.c.id == postings.c.movement_id)
        .outerjoin(jobs, jobs.c.id == movements.c.job_id)
        .where(*matches)
        .order_by(postings.c.movement_id.desc())
        .limit(limit)
        .offset(offset)
    )
    total = conn.execute(select(func.count()).select_from(postings).where(*matches)).scalar_one()
    return Page(_shape.all(conn.execute(query)), total)
