"""The metadata of all tables, and column types that keep values exactly, the same way on both engines."""

import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, CheckConstraint, Column, Dialect, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeDecorator

from dc1.domain.base.json_types import MAX_EXACT_INTEGER, compact, parse_strictly

log = logging.getLogger(__name__)

_NAN = Decimal("NaN")

# The last one with an ISO-8601 text of four digits for the year; what is later ends whoever would write it.
_LAST_MOMENT_MS = 253_402_300_799_999

_MOST_DIGITS = 310

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


class JsonShape(NamedTuple):
    """What the JSON of a column is, and what a reader gets in place of a text that is none."""

    fits: Callable[[Any], bool]
    otherwise: Callable[[], Any]


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _nothing() -> None:
    return None


ANY_JSON = JsonShape(lambda value: True, _nothing)
OBJECT = JsonShape(lambda value: isinstance(value, dict), _nothing)
OBJECT_ALWAYS = OBJECT._replace(otherwise=dict)
TEXTS = JsonShape(_is_texts, _nothing)
# For what would mean "everything" as a NULL.
TEXTS_OR_NONE_OF_THEM = TEXTS._replace(otherwise=list)
NUMBERS = JsonShape(_is_numbers, _nothing)
# Likewise: whom a renter left out must not get the work because a row cannot be read.
PROVIDER_CHOICE = JsonShape(lambda value: isinstance(value, dict), lambda: {"only": []})


class ExactJson(TypeDecorator[Any]):
    """JSON as text: key order, number spelling and every script survive; Python's None is SQL NULL.

    A text that is not JSON of the column's shape, which only an edit by hand or a fault can leave there, is read as the
    shape says: were it an error, one row would be the end of every list, feed and start that comes across it.
    """

    impl = Text
    cache_ok = True

    def __init__(self, shape: JsonShape = ANY_JSON) -> None:
        super().__init__()
        self.shape = shape

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the value as compact JSON."""
        return None if value is None else compact(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read the value back."""
        if value is None:
            return None
        try:
            read = parse_strictly(value, _integer)
        except (ValueError, TypeError):
            return self._unreadable()
        # A null is one that was written, in a column of any JSON.
        return read if self.shape.fits(read) else self._unreadable()

    def _unreadable(self) -> Any:
        # Without the text, in which a renter's prompt may stand.
        log.error("a stored JSON text cannot be read, and is taken as %r", self.shape.otherwise())
        return self.shape.otherwise()


def _integer(digits: str) -> int:
    # As it was written. None that a double can hold has more digits, and others no answer can carry.
    if len(digits) > _MOST_DIGITS:
        raise ValueError("beyond any double")
    return int(digits)


class PlainText(TypeDecorator[str]):
    """Text from outside; NUL, which PostgreSQL cannot hold, becomes U+FFFD on both engines."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return None if value is None else value.replace("\x00", "\ufffd")


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal number as its own digits, never through a float; `otherwise` is read in place of what is no number."""

    impl = Text
    cache_ok = True

    def __init__(self, otherwise: Decimal | None = None) -> None:
        super().__init__()
        self.otherwise = otherwise

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Write the number's digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Read the number back."""
        if value is None:
            return None
        try:
            number = Decimal(value)
        except (ArithmeticError, ValueError, TypeError):
            number = _NAN
        # What is finite, and no sum with it either is beyond what answers and amounts can hold.
        if number.is_finite() and abs(number) < MAX_EXACT_INTEGER:
            return number
        log.error("a stored number cannot be read, and is taken as %s", self.otherwise)
        return self.otherwise


class StoredMoment(TypeDecorator[int]):
    """A moment in integer epoch milliseconds, UTC; what is none is read as the epoch.

    SQLite keeps any text in a column of integers. The epoch and not NULL, which would mean "never": an odd expiry has
    passed.
    """

    impl = BigInteger
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Read the moment back."""
        if value is None or (type(value) is int and 0 <= value <= _LAST_MOMENT_MS):
            return value
        log.error("a stored moment cannot be read, and is taken as the epoch")
        return 0


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
    return Column(name, StoredMoment, nullable=nullable)


def counter(name: str) -> Column[int]:
    """Return a running count or sum that starts at zero."""
    return Column(name, BigInteger, nullable=False, server_default="0")


def one_of(column: str, values: Iterable[str], name: str) -> CheckConstraint:
    """Return a constraint that `column` holds one of `values` (or NULL where the column allows it)."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=name)


def change_stamp() -> Column[int]:
    """Return the transaction that last changed what other replicas follow; stamped by a trigger on PostgreSQL only."""
    return Column("changed_xid", BigInteger)


def stamp_index(table: Table, *, tells_itself: bool = False) -> None:
    """Index a table's change stamps; other servers read it after each change unless who changes it tells them of it."""
    table.info["tells_itself"] = tells_itself
    # Partial, for on SQLite nothing is ever stamped.
    stamped = text("changed_xid IS NOT NULL")
    Index(f"ix_{table.name}_changed_xid", table.c.changed_xid, postgresql_where=stamped, sqlite_where=stamped)
