"""The ledger of the whole market, as its operators look at it: entry by entry, and day by day."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, case, cast, func, select, text

from dc1.domain.base.clock import DAY_MS, day_start_ms
from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.storage.engine.row_mapping import Page
from dc1.storage.money import reversals
from dc1.storage.schema.tables import jobs, movements, postings

_SOURCES = (AccountKind.PROMO, AccountKind.EXTERNAL, AccountKind.ADJUSTMENT)
_CREDITS = (*reversals.REVERSIBLE, MovementKind.REVERSAL)
_CHARGES = (MovementKind.CHARGE_PROVIDER, MovementKind.CHARGE_PROVIDER_PROMO, MovementKind.CHARGE_PLATFORM)
_REFUNDS = (MovementKind.REFUND, MovementKind.CHARGE_RETURNED)
_RENTERS = (AccountKind.WALLET, AccountKind.HOLD)
_PROVIDERS = (AccountKind.PAYABLE, AccountKind.PROMO_EARNINGS, AccountKind.PAYOUT)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One movement with both its ends; `job_id` is public, and whom it is about is None where it is about nobody.

    `reverses` and `reversed_by` are the entries that it takes back and that took it back.
    """

    id: int
    kind: MovementKind
    source: AccountKind
    target: AccountKind
    renter_id: int | None
    provider_id: int | None
    job_id: str | None
    amount_halala: int
    note: str | None
    created_at_ms: int
    reverses: int | None
    reversed_by: int | None


def entries(conn: Connection, *, since_ms: int, limit: int, offset: int = 0) -> Page[LedgerEntry]:
    """Return movements from `since_ms` on, newest first."""
    recent = movements.c.created_at_ms >= since_ms
    total = conn.execute(select(func.count()).select_from(movements).where(recent)).scalar_one()
    newest_first = (movements.c.created_at_ms.desc(), movements.c.id.desc())
    query = _entries().where(recent).order_by(*newest_first).limit(limit).offset(offset)
    return Page([LedgerEntry(*row) for row in conn.execute(query)], total)


def entry(conn: Connection, entry_id: int) -> LedgerEntry:
    """Return one movement that there is."""
    return LedgerEntry(*conn.execute(_entries().where(movements.c.id == entry_id)).one())


def _entries() -> Select[*tuple[Any, ...]]:
    paid, got, reversal = postings.alias("paid"), postings.alias("got"), movements.alias("reversal")
    return (
        select(
            movements.c.id,
            movements.c.kind,
            paid.c.account_kind,
            got.c.account_kind,
            _owner(paid, got, _RENTERS),
            _owner(paid, got, _PROVIDERS),
            jobs.c.job_id,
            movements.c.amount_halala,
            movements.c.note,
            movements.c.created_at_ms,
            reversals.reversed_id(movements),
            reversal.c.id,
        )
        .join(paid, and_(paid.c.movement_id == movements.c.id, paid.c.amount_halala < 0))
        .join(got, and_(got.c.movement_id == movements.c.id, got.c.amount_halala > 0))
        .outerjoin(jobs, jobs.c.id == movements.c.job_id)
        .outerjoin(reversal, reversals.reverses(reversal, movements.c.id))
    )


def _owner(paid: Any, got: Any, kinds: tuple[AccountKind, ...]) -> ColumnElement[Any]:
    """Return the owner of whichever end is an account of these kinds."""
    return case((paid.c.account_kind.in_(kinds), paid.c.owner_id), (got.c.account_kind.in_(kinds), got.c.owner_id))


@dataclass(frozen=True, slots=True)
class LedgerDay:
    """What moved on one UTC day, in halala.

    `credited` is what came in less what was taken back, and `difference` what all postings come to: 0.
    """

    day_ms: int
    entries: int = 0
    credited: int = 0
    charged: int = 0
    refunded: int = 0
    paid_out: int = 0
    difference: int = 0


def by_day(conn: Connection, since_ms: int) -> dict[int, LedgerDay]:
    """Return the days from `since_ms` on that have any entry, by their first millisecond."""
    at = movements.c.created_at_ms
    # A movement has two postings; the one that receives stands for it.
    got = postings.c.amount_halala > 0
    from_outside = and_(movements.c.kind.in_(_CREDITS), postings.c.account_kind.in_(_SOURCES))
    query = (
        select(
            # Integers, for the engines have no common function that cuts a time down to its day.
            (at - at % DAY_MS).label("day_ms"),
            func.count().filter(got),
            _sum(-postings.c.amount_halala, from_outside),
            _sum(postings.c.amount_halala, and_(got, movements.c.kind.in_(_CHARGES))),
            _sum(postings.c.amount_halala, and_(got, movements.c.kind.in_(_REFUNDS))),
            _sum(postings.c.amount_halala, and_(got, movements.c.kind == MovementKind.PAYOUT_PAID)),
            cast(func.sum(postings.c.amount_halala), BigInteger),
        )
        .join(postings, postings.c.movement_id == movements.c.id)
        .where(at >= day_start_ms(since_ms))
        .group_by(text("day_ms"))
    )
    return {row[0]: LedgerDay(*row) for row in conn.execute(query)}


def _sum(amount: ColumnElement[int], counted: ColumnElement[bool]) -> ColumnElement[int]:
    # PostgreSQL sums BIGINT to NUMERIC, which the driver hands over as Decimal.
    return cast(func.coalesce(func.sum(amount).filter(counted), 0), BigInteger)
