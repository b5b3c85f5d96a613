"""Payouts of providers' earnings; every change of state is in the ledger too.

The amount waits in the provider's payout account while the withdrawal is open.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from dc1.domain import errors
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.domain.money.withdrawals import (
    RETURNED,
    UNDER_WAY,
    WithdrawalStatus,
    can_change_to,
    iban_hint,
    new_withdrawal_id,
)
from dc1.storage.engine.row_mapping import Page, Shape, inserted_id
from dc1.storage.money import ledger
from dc1.storage.money.ledger import Transfer
from dc1.storage.schema.tables import promo_earnings, providers, withdrawals


@dataclass(frozen=True, slots=True)
class WithdrawalRow:
    """A withdrawal; `reason` says why it failed or was rejected, `bank_reference` what the bank calls the transfer.

    `promo_halala` is how much of the amount was earned from starter credit.
    """

    id: int
    withdrawal_id: str
    provider_id: int
    provider_name: str
    amount_halala: int
    promo_halala: int
    iban: str
    status: WithdrawalStatus
    reason: str | None
    bank_reference: str | None
    created_at_ms: int
    updated_at_ms: int

    @property
    def cash_halala(self) -> int:
        """How much of the amount was earned from money that somebody paid."""
        return self.amount_halala - self.promo_halala


_shape = Shape(WithdrawalRow, withdrawals, provider_name=providers.c.name)
_SELECT = select(*_shape.columns).join(providers, providers.c.id == withdrawals.c.provider_id)
_RELEASED = select(func.coalesce(func.sum(promo_earnings.c.released_halala), 0))
_TAKEN = select(func.coalesce(func.sum(withdrawals.c.promo_halala), 0))
_NEWEST_FIRST = withdrawals.c.id.desc()


def create(conn: Connection, provider_id: int, amount_halala: int, iban: str, now_ms: int) -> WithdrawalRow:
    """Ask for `amount_halala` (> 0) of a provider's earnings.

    Raises:
        withdrawal_pending: another one is open.
        insufficient_earnings: less is left of what the provider earned.
    """
    values = {
        "withdrawal_id": new_withdrawal_id(),
        "provider_id": provider_id,
        "amount_halala": amount_halala,
        "iban": iban,
        "status": WithdrawalStatus.PENDING,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
    }
    try:
        row_id = inserted_id(conn.execute(insert(withdrawals), values))
    except IntegrityError as error:
        # The unique index on open withdrawals says so, whoever was first.
        raise errors.withdrawal_pending() from error
    # Else an operator who gives back what one of its jobs cost would take of it in between.
    ledger.lock_owners(conn, [provider_id])
    available = ledger.balance(conn, ledger.payable(provider_id))
    if available < amount_halala:
        raise errors.insufficient_earnings(available, amount_halala)
    promo = min(amount_halala, _released_promo(conn, provider_id))
    conn.execute(update(withdrawals).where(withdrawals.c.id == row_id).values(promo_halala=promo))
    accounts = (ledger.payable(provider_id), ledger.payout(provider_id))
    ledger.post(conn, [Transfer(MovementKind.WITHDRAWAL, _ref(row_id), amount_halala, *accounts)], now_ms)
    return _known(conn, withdrawals.c.id == row_id)


def _released_promo(conn: Connection, provider_id: int) -> int:
    """Return what a provider may withdraw of its earnings from starter credit, which is withdrawn before cash."""
    # First, as in a wallet: what is left is cash, and an operator sees the other as soon as any of it is asked for.
    released = conn.execute(_RELEASED.where(promo_earnings.c.provider_id == provider_id)).scalar_one()
    own = (withdrawals.c.provider_id == provider_id) & withdrawals.c.status.not_in(RETURNED)
    return int(released) - int(conn.execute(_TAKEN.where(own)).scalar_one())


def change_status(
    conn: Connection,
    withdrawal_id: str,
    target: WithdrawalStatus,
    reason: str | None,
    now_ms: int,
    *,
    bank_reference: str | None = None,
) -> WithdrawalRow:
    """Take a withdrawal to another state; `reason` is kept where the amount goes back, `bank_reference` wherever given.

    Raises:
        withdrawal_not_found: there is none with this id.
        illegal_withdrawal_transition: it may not go there from where it stands.
    """
    wanted = withdrawals.c.withdrawal_id == withdrawal_id
    # Of two admins who decide at once the second waits here, and is told what the first decided.
    locked = conn.execute(select(withdrawals.c.id, withdrawals.c.status).where(wanted).with_for_update()).first()
    if locked is None:
        raise errors.withdrawal_not_found()
    if not can_change_to(locked.status, target):
        raise errors.illegal_withdrawal_transition(locked.status, target)
    kept = reason if target in RETURNED else None
    changes: dict[str, object] = {"status": target, "reason": kept, "updated_at_ms": now_ms}
    if bank_reference is not None:
        # Else what was noted when the transfer was begun stays.
        changes["bank_reference"] = bank_reference
    conn.execute(update(withdrawals).where(wanted).values(**changes))
    # Read after the change, for what the new status does to the amount.
    row = _known(conn, wanted)
    ledger.post(conn, _transfers(row), now_ms)
    return row


def _transfers(row: WithdrawalRow) -> list[Transfer]:
    """Return what a state does to the amount that waits."""
    payout, ref = ledger.payout(row.provider_id), _ref(row.id)
    if row.status == WithdrawalStatus.PAID:
        outside = ledger.system(AccountKind.EXTERNAL, row.provider_id)
        return [Transfer(MovementKind.PAYOUT_PAID, ref, row.amount_halala, payout, outside)]
    if row.status in RETURNED:
        earnings = ledger.payable(row.provider_id)
        return [Transfer(MovementKind.PAYOUT_RETURNED, ref, row.amount_halala, payout, earnings, note=row.reason)]
    return []


def _ref(row_id: int) -> str:
    return f"withdrawal:{row_id}"


def _known(conn: Connection, wanted: ColumnElement[bool]) -> WithdrawalRow:
    row = _shape.first(conn.execute(_SELECT.where(wanted)))
    assert row is not None
    return row


def page(
    conn: Connection,
    *,
    limit: int,
    offset: int = 0,
    provider_id: int | None = None,
    status: WithdrawalStatus | None = None,
) -> Page[WithdrawalRow]:
    """Return withdrawals of one provider or of all, newest first."""
    matches: list[ColumnElement[bool]] = []
    if provider_id is not None:
        matches.append(withdrawals.c.provider_id == provider_id)
    if status is not None:
        matches.append(withdrawals.c.status == status)
    query = _SELECT.where(*matches).order_by(_NEWEST_FIRST).limit(limit).offset(offset)
    total = conn.execute(select(func.count()).select_from(withdrawals).where(*matches)).scalar_one()
    return Page(_shape.all(conn.execute(query)), total)


def has_open(conn: Connection, provider_id: int) -> bool:
    """Tell whether the provider waits for a payout."""
    query = select(withdrawals.c.id).where(
        withdrawals.c.provider_id == provider_id, withdrawals.c.status.in_(UNDER_WAY)
    )
    return conn.execute(query.limit(1)).scalar() is not None


def last_paid_ms(conn: Connection, provider_id: int) -> int | None:
    """Return when the provider was paid last, None before the first time."""
    query = select(func.max(withdrawals.c.updated_at_ms)).where(
        withdrawals.c.provider_id == provider_id, withdrawals.c.status == WithdrawalStatus.PAID
    )
    return conn.execute(query).scalar()


def mask_accounts(conn: Connection, provider_id: int) -> None:
    """Keep of the bank accounts that a provider named only what lists show of them."""
    rows = conn.execute(select(withdrawals.c.id, withdrawals.c.iban).where(withdrawals.c.provider_id == provider_id))
    for row_id, iban in rows.all():
        conn.execute(update(withdrawals).where(withdrawals.c.id == row_id).values(iban=iban_hint(iban)))
