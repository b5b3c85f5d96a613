"""The metadata of all tables, and column types that keep values exactly, the same way on both engines."""

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Dialect, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeDecorator

# Constraint names that can be told beforehand: a migration has to drop by name what another one made.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only for a column that is declared exactly INTEGER PRIMARY KEY.
RowId = BigInteger().with_variant(Integer(), "sqlite")


class ExactJson(TypeDecorator[Any]):
    """JSON as text: key order, number spelling and every script survive; Python's None is SQL NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the value as compact JSON."""
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read the value back."""
        return None if value is None else json.loads(value)


class PlainText(TypeDecorator[str]):
    """Text from outside; NUL, which PostgreSQL cannot hold, becomes U+FFFD on both engines."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return None if value is None else value.replace("\x00", "\ufffd")


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal number as its own digits, never through a float."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Write the number's digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Read the number back."""
        return None if value is None else Decimal(value)


class _Members(dict[str | None, StrEnum | None]):
    """The members of an enum by their texts; a text that has none becomes a member that no table lists."""

    def __init__(self, members: type[StrEnum]) -> None:
        known: dict[str | None, StrEnum | None] = {None: None}
        super().__init__(known | {member.value: member for member in members})
        self._kind = members

    def __missing__(self, text: str) -> StrEnum:
        # Written by a newer server on the same database, or by hand: were it an error, one row would be the end of
        # every list, feed and start that comes across it.
        unknown = str.__new__(self._kind, text)
        unknown._name_ = unknown._value_ = text
        return unknown


class StoredEnum(TypeDecorator[StrEnum]):
    """One of the texts of an enum, read back as its member, so that no row carries a bare string.

    A text that this version does not know is read as it stands, and equals none of the members.
    """

    impl = Text
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """Write the text; the drivers convert what is exactly a string faster than what inherits from it."""
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[str | None], StrEnum | None]:
        """Read the member. A look-up in a dict, for the queue is read row by row at every start."""
        return _Members(self.members).__getitem__


def time_column(name: str, *, nullable: bool = False) -> Column[int]:
    """Return a moment in integer epoch milliseconds, UTC."""
    return Column(name, BigInteger, nullable=nullable)


def counter(name: str) -> Column[int]:
    """Return a running count or sum that starts at zero."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def one_of(column: str, values: Iterable[str], name: str) -> CheckConstraint:
    """Return a constraint that `column` holds one of `values` (or NULL where the column allows it)."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=name)


def change_stamp() -> Column[int]:
    """Return the transaction that last changed what other replicas follow; stamped by a trigger on PostgreSQL only."""
    return Column("changed_xid", BigInteger)


def stamp_index(table: Table) -> None:
    """Index a table's change stamps."""
    # Partial, for on SQLite nothing is ever stamped.
    stamped = text("changed_xid IS NOT NULL")
    Index(f"ix_{table.name}_changed_xid", table.c.changed_xid, postgresql_where=stamped, sqlite_where=stamped)
