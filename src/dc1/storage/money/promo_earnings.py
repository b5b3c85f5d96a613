"""What providers earned from starter credit: kept apart until its renter has paid, or an admin releases it.

Rows are locked after the renter, where there is one, and after the provider. A renter's rows change under the renter's
lock or, when an admin releases them, under their provider's.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, update

from dc1.domain.money.bookkeeping import MovementKind
from dc1.storage.engine.statements import upsert
from dc1.storage.money import ledger
from dc1.storage.money.ledger import Transfer
from dc1.storage.schema.tables import promo_earnings

_WAITING = promo_earnings.c.earned_halala > promo_earnings.c.released_halala


@dataclass(frozen=True, slots=True)
class Kept:
    """What one provider earned from one renter's starter credit in all time, and how much of it was released."""

    provider_id: int
    renter_id: int
    earned_halala: int
    released_halala: int

    @property
    def waiting_halala(self) -> int:
        """What is still kept apart."""
        return self.earned_halala - self.released_halala


def add(conn: Connection, provider_id: int, renter_id: int, halala: int, *, released: int) -> None:
    """Count what a run earned from starter credit; `released` of it at once, for its renter has paid."""
    statement = upsert(conn, promo_earnings, ("provider_id", "renter_id"), add=("earned_halala", "released_halala"))
    names = {"provider_id": provider_id, "renter_id": renter_id}
    statement.send(conn, names | {"earned_halala": halala, "released_halala": released})


def release_of_renter(conn: Connection, renter_id: int, reason: str, now_ms: int) -> int:
    """Let providers withdraw what they earned from a renter's starter credit; return how much it was.

    The caller holds the renter's lock.
    """
    own = promo_earnings.c.renter_id == renter_id
    # Found first and locked then, in the order of a settlement; under the renter's lock none is added meanwhile.
    found = select(promo_earnings.c.provider_id).where(own, _WAITING).order_by(promo_earnings.c.provider_id)
    provider_ids = list(conn.scalars(found))
    ledger.lock_owners(conn, provider_ids)
    return _release(conn, own & promo_earnings.c.provider_id.in_(provider_ids), reason, now_ms)


def release_of_provider(
    conn: Connection, provider_id: int, reason: str, now_ms: int, *, renter_id: int | None = None
) -> int:
    """Let a provider withdraw what it earned from starter credit, of one renter or of all; return how much it was."""
    ledger.lock_owners(conn, [provider_id])
    wanted = promo_earnings.c.provider_id == provider_id
    if renter_id is not None:
        wanted &= promo_earnings.c.renter_id == renter_id
    return _release(conn, wanted, reason, now_ms)


def take_back(conn: Connection, provider_id: int, renter_id: int, most_halala: int) -> int:
    """Count as let go what a provider is not to have of a renter's starter credit after all; return how much it was.

    The caller holds both locks, and moves it.
    """
    pair = (promo_earnings.c.provider_id == provider_id) & (promo_earnings.c.renter_id == renter_id)
    waiting = conn.execute(select(promo_earnings.c.earned_halala - promo_earnings.c.released_halala).where(pair))
    taken = min(most_halala, waiting.scalar() or 0)
    if taken:
        released = promo_earnings.c.released_halala + taken
        conn.execute(update(promo_earnings).where(pair).values(released_halala=released))
    return taken


def _release(conn: Connection, wanted: ColumnElement[bool], reason: str, now_ms: int) -> int:
    columns = [promo_earnings.c[name] for name in ("provider_id", "renter_id", "earned_halala", "released_halala")]
    query = select(*columns).where(wanted, _WAITING).order_by(*columns[:2]).with_for_update()
    rows = [Kept(*row) for row in conn.execute(query)]
    for row in rows:
        key = (promo_earnings.c.provider_id == row.provider_id) & (promo_earnings.c.renter_id == row.renter_id)
        conn.execute(update(promo_earnings).where(key).values(released_halala=row.earned_halala))
    ledger.post(conn, [_transfer(row, reason) for row in rows], now_ms)
    return sum(row.waiting_halala for row in rows)


def _transfer(row: Kept, reason: str) -> Transfer:
    # What was released in all only grows, so that no two releases of one pair have the same reference.
    ref = f"promo:{row.provider_id}:{row.renter_id}:{row.earned_halala}"
    ends = (ledger.promo_earnings(row.provider_id), ledger.payable(row.provider_id))
    return Transfer(MovementKind.PROMO_RELEASE, ref, row.waiting_halala, *ends, note=reason, promo=row.waiting_halala)
