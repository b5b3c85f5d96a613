"""Money that enters and leaves a renter's wallet outside of jobs, and the list of all that ever did."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, literal, select

from dc1.domain import errors
from dc1.domain.money import starter_credit
from dc1.domain.money.bookkeeping import PAYMENTS, AccountKind, MovementKind
from dc1.domain.money.pricing import MAX_BALANCE_HALALA
from dc1.storage.accounts import renters
from dc1.storage.accounts.renters import RenterRow
from dc1.storage.engine.row_mapping import Page, Shape
from dc1.storage.money import counters, ledger, promo_earnings, reversals
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A change of a wallet that was asked for; `amount` is negative where it takes away.

    `promo` is how much of it is starter credit, None for what the wallet decides: it gives money first. `paid` is what
    it changes of the real money that the renter ever paid.
    """

    kind: MovementKind
    ref: str
    amount: int
    other_end: ledger.Account
    note: str | None = None
    promo: int | None = None
    paid: int = 0


def top_up(conn: Connection, renter_id: int, amount_halala: int, ref: str, now_ms: int) -> WalletChange:
    """Pay `amount_halala` (> 0) in; `ref` is unique among top-ups.

    Refused with `Renter not found`, and above 2 000 000 000, what is on hold included, with the balance limit. What
    providers earned from the renter's starter credit may be withdrawn from now on.
    """
    source = ledger.system(AccountKind.EXTERNAL, renter_id)
    asked = _Asked(MovementKind.TOPUP, ref, amount_halala, source, paid=amount_halala)
    return _change(conn, renter_id, asked, now_ms)


def credit(
    conn: Connection,
    renter_id: int,
    amount_halala: int,
    ref: str,
    reason: str,
    now_ms: int,
    *,
    is_payment: bool = False,
) -> WalletChange:
    """Give `amount_halala` (> 0) by an admin; `ref` is unique among credits. Refused as `top_up`.

    With `is_payment` the renter has paid it outside of this system, which does what a top-up does.
    """
    source = ledger.system(AccountKind.ADJUSTMENT, renter_id)
    paid = amount_halala if is_payment else 0
    kind = MovementKind.ADMIN_PAYMENT if is_payment else MovementKind.ADMIN_CREDIT
    return _change(conn, renter_id, _Asked(kind, ref, amount_halala, source, reason, paid=paid), now_ms)


def adjust(
    conn: Connection, renter_id: int, amount_halala: int, ref: str, reason: str | None, now_ms: int
) -> WalletChange:
    """Raise or lower a balance by an admin; `ref` is unique among adjustments.

    Refused as `top_up`, and when the wallet holds less than is taken.
    """
    source = ledger.system(AccountKind.ADJUSTMENT, renter_id)
    asked = _Asked(MovementKind.ADMIN_ADJUSTMENT, ref, amount_halala, source, reason)
    return _change(conn, renter_id, asked, now_ms)


def reverse(conn: Connection, movement_id: int, reason: str, now_ms: int) -> WalletChange:
    """Make good a wrong entry by its opposite, once; the entry itself stays as it is.

    Refused as by `_reversible`, then as `adjust` is, where the wallet cannot give back what it got or take back what it
    gave.

    Raises:
        ledger_entry_reversed: another entry took it back before.
    """
    wrong = _reversible(conn, movement_id)
    renter = renters.lock_known(conn, wrong.renter_id)
    reversed_by = conn.execute(
        select(movements.c.id).where(reversals.reverses(movements, literal(movement_id)))
    ).scalar()
    if reversed_by is not None:
        raise errors.ledger_entry_reversed(reversed_by)
    asked = _Asked(
        MovementKind.REVERSAL,
        reversals.reference(movement_id),
        -wrong.amount,
        wrong.other_end,
        reason,
        promo=wrong.promo_to_reverse(renter),
        paid=-wrong.amount if wrong.kind in PAYMENTS else 0,
    )
    return _change(conn, wrong.renter_id, asked, now_ms)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """An entry that may be reversed: whose wallet it changed, by how much, and the account at its other end."""

    kind: MovementKind
    renter_id: int
    amount: int
    promo: int
    other_end: ledger.Account

    def promo_to_reverse(self, renter: RenterRow) -> int | None:
        """Return how much of the reversal is starter credit; None where the wallet decides."""
        # What was taken as starter credit comes back as such, and the credit itself goes before money.
        if self.amount < 0:
            return self.promo
        return min(self.amount, renter.promo_halala) if self.kind == MovementKind.STARTER_CREDIT else None


def _reversible(conn: Connection, movement_id: int) -> _Wrong:
    """Return what is to be known of an entry to reverse it.

    Raises:
        ledger_entry_not_found: there is no such entry.
        ledger_entry_not_reversible: its kind is not reversible.
    """
    wanted = select(movements.c.kind, movements.c.promo_halala).where(movements.c.id == movement_id)
    found = conn.execute(wanted).first()
    if found is None:
        raise errors.ledger_entry_not_found()
    if found.kind not in reversals.REVERSIBLE:
        raise errors.ledger_entry_not_reversible(found.kind)
    query = select(postings.c.account_kind, postings.c.owner_id, postings.c.amount_halala)
    ends = {row.account_kind: row for row in conn.execute(query.where(postings.c.movement_id == movement_id))}
    own = ends.pop(AccountKind.WALLET)
    (other,) = ends.values()
    other_end = ledger.Account(other.account_kind, other.owner_id)
    return _Wrong(found.kind, own.owner_id, own.amount_halala, found.promo_halala, other_end)


def _change(conn: Connection, renter_id: int, asked: _Asked, now_ms: int) -> WalletChange:
    renter, amount = renters.lock_known(conn, renter_id), asked.amount
    before = renter.balance_halala
    # What is on hold may come back any time, and a refund must never be refused.
    if amount > 0 and before + renter.held_halala + amount > MAX_BALANCE_HALALA:
        raise errors.balance_limit_exceeded()
    if before + amount < 0:
        raise errors.balance_below_zero()
    # The ledger knows no movement of nothing.
    if amount == 0:
        return WalletChange(movement_id=0, previous_balance=before, new_balance=before)
    promo = _promo_of(asked, renter)
    renters.count_credit(conn, renter_id, promo if amount > 0 else -promo, asked.paid)
    # Before the accounts of the ledger are locked, for providers come before them.
    if asked.paid > 0:
        promo_earnings.release_of_renter(conn, renter_id, "The renter has paid", now_ms)
    ends = (asked.other_end, ledger.wallet(renter_id))
    source, target = ends if amount > 0 else reversed(ends)
    transfer = Transfer(asked.kind, asked.ref, abs(amount), source, target, note=asked.note, promo=promo)
    (movement_id,) = ledger.post(conn, [transfer], now_ms)
    counters.change(conn, renter_id, wallets_halala=amount)
    return WalletChange(movement_id, previous_balance=before, new_balance=before + amount)


def _promo_of(asked: _Asked, renter: RenterRow) -> int:
    """Return how much of a change is starter credit."""
    if asked.promo is not None:
        return asked.promo
    if asked.amount > 0:
        return 0
    left = starter_credit.left_of(renter.promo_halala, renter.balance_halala, -asked.amount)
    return renter.promo_halala - left


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
