"""Many ids in one parameter: PostgreSQL takes 65,535 of those at most, and a fleet may have more machines and jobs."""

from collections.abc import Collection

from sqlalchemy import BigInteger, Column, ColumnElement, all_, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY

_IDS = ARRAY(BigInteger)


def is_any_of(column: Column[int], ids: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these ids."""
    return column == any_(literal([*ids], _IDS))


def is_none_of(column: Column[int], ids: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that a column has none of these ids."""
    return column != all_(literal([*ids], _IDS))
