"""Corrections of the ledger: which entries may be taken back, and how an entry and its opposite find each other."""

from sqlalchemy import BigInteger, ColumnElement, FromClause, Text, and_, case, cast, func, literal

from dc1.domain.money.bookkeeping import MovementKind

REVERSIBLE = frozenset(
    {
        MovementKind.STARTER_CREDIT,
        MovementKind.TOPUP,
        MovementKind.ADMIN_CREDIT,
        MovementKind.ADMIN_PAYMENT,
        MovementKind.ADMIN_ADJUSTMENT,
    }
)
"""What may be taken back by its opposite.

Whatever else moves money is the other half of a job's bill or of a withdrawal's state, which would then tell another
story than the ledger.
"""

# The reference is what joins the two: it is unique among reversals, so that no entry can be taken back twice.
_REVERSED = "entry:"


def reference(movement_id: int) -> str:
    """Return the reference of the movement that takes back the one with this id."""
    return f"{_REVERSED}{movement_id}"


def reverses(reversal: FromClause, movement_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return whether a row of movements takes back the movement with this id."""
    ref = literal(_REVERSED).concat(cast(movement_id, Text))
    return and_(reversal.c.kind == MovementKind.REVERSAL, reversal.c.ref == ref)


def reversed_id(reversal: FromClause) -> ColumnElement[int | None]:
    """Return the id of the movement that a row of movements takes back, NULL for one that takes none back."""
    named = func.substr(reversal.c.ref, len(_REVERSED) + 1)
    return case((reversal.c.kind == MovementKind.REVERSAL, cast(named, BigInteger)))
