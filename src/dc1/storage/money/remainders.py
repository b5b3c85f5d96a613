"""What is below one halala, kept in a column in millionths until it makes one."""

from typing import Any

from sqlalchemy import case

from dc1.domain.money.pricing import MICRO_PER_HALALA


def carry(column: Any, added: Any) -> tuple[Any, Any]:
    """Return, as SQL, how many halala an addition makes whole, none or one, and what is left in the column then.

    For an update of the row, which adds up and tells by itself: of two at once neither reads what the other changes.
    """
    whole = case((column + added >= MICRO_PER_HALALA, 1), else_=0)
    return whole, column + added - whole * MICRO_PER_HALALA
