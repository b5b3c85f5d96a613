"""Many ids in one parameter: PostgreSQL takes 65,535 of those at most, and a fleet may have more machines and jobs."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, BindParameter, Column, ColumnElement, all_, any_, bindparam, literal
from sqlalchemy.dialects.postgresql import ARRAY

_IDS: Any = ARRAY(BigInteger)


def is_any_of(column: Column[int], ids: Collection[int] | str) -> ColumnElement[bool]:
    """Return the condition that a column has one of these ids, or of those that a parameter of that name will have."""
    return column == any_(_array(ids))


def is_none_of(column: Column[int], ids: Collection[int] | str) -> ColumnElement[bool]:
    """Return the condition that a column has none of these ids, or of those that a parameter of that name will have."""
    return column != all_(_array(ids))


def _array(ids: Collection[int] | str) -> BindParameter[list[int]]:
    return bindparam(ids, type_=_IDS) if isinstance(ids, str) else literal([*ids], _IDS)
