"""Result rows as frozen dataclasses, pages of a list, and the small texts that statements share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, CursorResult, Table

R = TypeVar("R")


class Shape(Generic[R]):
    """A dataclass whose fields are columns of `table` by name; `columns` selects them in field order."""

    def __init__(self, row_type: type[R], table: Table, **elsewhere: ColumnElement[Any]) -> None:
        """Take the columns of `table`; `elsewhere` names the fields that come from another one, or from several."""
        self._row_type: Callable[..., R] = row_type
        self._names = [field.name for field in fields(row_type)]  # type: ignore[arg-type]  # no type says "a dataclass"
        self.columns = [elsewhere[name] if name in elsewhere else table.c[name] for name in self._names]

    @property
    def names(self) -> list[str]:
        """The fields, which are the columns of an INSERT."""
        return list(self._names)

    def first(self, rows: Iterable[Sequence[Any]]) -> R | None:
        """Return the first row, or None."""
        found = self.all(rows)
        return found[0] if found else None

    def all(self, rows: Iterable[Sequence[Any]]) -> list[R]:
        """Return every row, in the order of the result."""
        # By position, for columns are selected in the order of the fields; names would cost a dict for each row.
        return [self._row_type(*row) for row in rows]

    def values(self, row: R) -> dict[str, Any]:
        """Return the row as the parameters of an INSERT."""
        return {name: getattr(row, name) for name in self._names}


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows of a list, and how many the whole list has."""

    rows: list[R]
    total: int


def changed(result: CursorResult[Any]) -> bool:
    """Tell whether a guarded statement found its row."""
    return result.rowcount > 0


def inserted_id(result: CursorResult[Any]) -> int:
    """Return the id that the database gave to the row just inserted."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def escaped_like(search: str) -> str:
    """Return a LIKE pattern, escaped by a backslash, that finds `search` anywhere, its wildcards taken literally."""
    # NUL first, as PlainText stores it: PostgreSQL refuses it even in a pattern.
    literal = search.replace("\x00", "\ufffd").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits to be sent, and since when the oldest of it; None for nothing."""

    waiting: int
    oldest_ms: int | None
