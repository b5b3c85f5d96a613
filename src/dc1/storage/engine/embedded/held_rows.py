"""Rows that the units of a group add and none of them reads: before the commit each table's are written at once."""

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Executable, Insert, Table, Update

# Of texts together: a group may have 256 units, each with a call of 8 MiB.
_MOST_CHARACTERS = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Addition:
    """A statement that adds a row to a table, whenever that is done before the commit.

    Where a row has the values at the places `key` already, it is raised by those at the places `raised`. Rows of the
    tables `refers_to` have to be there first.
    """

    sql: str
    table: str
    refers_to: Collection[str]
    key: Sequence[int] = ()
    raised: Sequence[int] = ()


def referred(statement: Executable) -> Collection[str]:
    """Return the tables that rows refer to which a statement adds or changes."""
    if not isinstance(statement, Insert | Update) or not isinstance(statement.table, Table):
        return ()
    return {key.column.table.name for key in statement.table.foreign_keys}


def addition_of(
    statement: Executable, sql: str, names: Sequence[str], raised: Collection[str], converted: Set[int]
) -> Addition | None:
    """Return a statement as one that can be held, None for one that asks back or changes what is there.

    `names` are those of its parameters, of which those at the places `converted` are not handed over as they are, and
    `raised` the columns that are added to what a row has, by an upsert that does nothing else to one that is there.
    """
    if not isinstance(statement, Insert) or [*statement.exported_columns] or not isinstance(statement.table, Table):
        return None
    # Those of a table whose rows the database numbers come in their order, whatever adds them.
    if statement.table.autoincrement_column is not None:
        return None
    table, refers_to = statement.table.name, referred(statement)
    if raised:
        places = [at for at, name in enumerate(names) if name in raised]
        key = [at for at, name in enumerate(names) if name not in raised]
        # A sum of what the driver is handed must be one of what was meant.
        return None if converted & {*places} else Addition(sql, table, refers_to, key, places)
    # Exactly: those of the dialects are upserts.
    return Addition(sql, table, refers_to) if type(statement) is Insert else None


class HeldRows:
    """What a group has to add before its commit, in the order in which each statement came first.

    Of what several units count in one row the sum is written. A statement that may read such a table, or refer to it,
    has to wait until it is written.
    """

    def __init__(self) -> None:
        self._rows: dict[Addition, dict[Any, list[Any]]] = {}
        self._tables: set[str] = set()
        self._characters = 0
        self.added = 0
        """How many rows were added since the connection was opened."""
        self.is_broken = False
        """Whether what was held could not be written, so that the whole group has to be undone."""

    def add(self, addition: Addition, values: list[Any]) -> None:
        """Hold a row, of which nobody else has the list."""
        self.added += 1
        self._tables.add(addition.table)
        rows = self._rows.setdefault(addition, {})
        if not addition.raised:
            rows[len(rows)] = values
            self._characters += sum(len(value) for value in values if type(value) is str)
            return
        known = rows.setdefault(tuple([values[at] for at in addition.key]), values)
        if known is not values:
            for at in addition.raised:
                known[at] += values[at]

    @property
    def is_large(self) -> bool:
        """Whether so much is held that it has to be written, for memory's sake."""
        return self._characters > _MOST_CHARACTERS

    def concerns(self, names: Collection[str]) -> bool:
        """Tell whether a row of any of these tables is held."""
        return not self._tables.isdisjoint(names)

    def take(self) -> Iterator[tuple[str, list[list[Any]]]]:
        """Yield each statement with its rows, and hold none of them any more."""
        rows, self._rows, self._tables, self._characters = self._rows, {}, set(), 0
        for addition, held in rows.items():
            yield addition.sql, list(held.values())

    def clear(self) -> None:
        """Hold nothing, for a transaction that begins."""
        self._rows, self._tables, self._characters, self.is_broken = {}, set(), 0, False


# Weak, as nobody tells when a connection object is dropped.
_of_connection: WeakKeyDictionary[Connection, HeldRows] = WeakKeyDictionary()


def hold_rows(conn: Connection) -> HeldRows:
    """Hold the rows that are added by a connection from now on; whoever asks for it has to have them written."""
    return _of_connection.setdefault(conn, HeldRows())


def held_by(conn: Connection) -> HeldRows | None:
    """Return what a connection holds, None for one that writes at once."""
    return _of_connection.get(conn)
