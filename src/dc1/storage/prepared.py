"""Statements of the hot paths, compiled once.

On SQLite a statement takes less time than the general machinery around it, and all writes share one thread, so there
a prepared statement goes straight to the driver. On PostgreSQL it is an ordinary statement.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, NoReturn, TypeAlias

from sqlalchemy import Connection, Insert, Select, Table, Update, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError

from dc1.storage.rows import inserted_id

Statement: TypeAlias = Select[*tuple[Any, ...]] | Insert | Update
Values: TypeAlias = Mapping[str, Any]

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")


class Prepared:
    """A statement with named parameters, all of which every execution gives.

    ``columns`` names the columns of an INSERT that has no values of its own.
    """

    def __init__(self, statement: Statement, columns: Sequence[str] = ()) -> None:
        self._statement = statement
        self._columns = list(columns)

    def rows(self, conn: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute and return every row."""
        if conn.dialect.name != "sqlite":
            return [tuple(row) for row in conn.execute(self._statement, dict(values))]
        return self._sqlite.read(self._sqlite.execute(conn, values))

    def run(self, conn: Connection, values: Values) -> int:
        """Execute and return how many rows it changed."""
        if conn.dialect.name != "sqlite":
            return conn.execute(self._statement, dict(values)).rowcount
        return self._sqlite.execute(conn, values).rowcount

    def insert(self, conn: Connection, values: Values) -> int:
        """Insert one row and return the id that the database gave it."""
        if conn.dialect.name != "sqlite":
            return inserted_id(conn.execute(self._statement, dict(values)))
        row_id = self._sqlite.execute(conn, values).lastrowid
        assert row_id is not None
        return row_id

    def run_many(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Execute once for each of ``rows``."""
        if conn.dialect.name != "sqlite":
            conn.execute(self._statement, [dict(values) for values in rows])
        else:
            self._sqlite.execute_many(conn, rows)

    @cached_property
    def _sqlite(self) -> "_SqliteStatement":
        return _SqliteStatement(self._statement, self._columns)


def upsert(
    conn: Connection,
    table: Table,
    key: tuple[str, ...],
    *,
    new: tuple[str, ...] = (),
    add: tuple[str, ...] = (),
    replace: tuple[str, ...] = (),
    returning: tuple[str, ...] = (),
) -> Prepared:
    """The statement that inserts a row or, where one has this ``key``, changes it.

    An existing row gets the columns ``add`` raised and ``replace`` replaced; the columns ``new`` are only set in a new
    one. With neither, an existing row stays as it is and nothing is returned.
    """
    return _upsert(conn.dialect.name, table, key, new, add, replace, returning)


@cache
def _upsert(
    engine_name: str,
    table: Table,
    key: tuple[str, ...],
    new: tuple[str, ...],
    add: tuple[str, ...],
    replace: tuple[str, ...],
    returning: tuple[str, ...],
) -> Prepared:
    statement = sqlite.insert(table) if engine_name == "sqlite" else postgresql.insert(table)
    statement = statement.values(
        {name: bindparam(name, type_=table.c[name].type) for name in key + new + add + replace}
    )
    changes = {name: table.c[name] + statement.excluded[name] for name in add}
    changes |= {name: statement.excluded[name] for name in replace}
    if changes:
        statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    return Prepared(statement.returning(*[table.c[name] for name in returning]) if returning else statement)


class _SqliteStatement:
    """A statement in SQLite's words, with the conversions that its columns ask for."""

    def __init__(self, statement: Statement, columns: list[str]) -> None:
        compiled = statement.compile(dialect=_DIALECT, column_keys=columns or None)
        self._sql = str(compiled)
        self._parameters: list[tuple[str, Any, Callable[[Any], Any] | None]] = [
            (name, compiled.params[name], compiled.binds[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT))
            for name in compiled.positiontup or ()
        ]
        self._results: list[Callable[[Any], Any] | None] = [
            column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for column in statement.exported_columns
        ]

    def execute(self, conn: Connection, values: Values) -> sqlite3.Cursor:
        try:
            return driver_of(conn).execute(self._sql, self._bind(values))
        except sqlite3.Error as error:
            self._raise(error)

    def execute_many(self, conn: Connection, rows: Sequence[Values]) -> None:
        try:
            driver_of(conn).executemany(self._sql, [self._bind(values) for values in rows])
        except sqlite3.Error as error:
            self._raise(error)

    def read(self, cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        return [
            tuple([value if convert is None else convert(value) for convert, value in zip(self._results, row)])  # noqa: B905
            for row in cursor
        ]

    def _bind(self, values: Values) -> list[Any]:
        bound = []
        for name, constant, convert in self._parameters:
            value = values.get(name, constant)
            bound.append(value if convert is None else convert(value))
        return bound

    def _raise(self, error: sqlite3.Error) -> NoReturn:
        wrapped = DBAPIError.instance(self._sql, None, error, sqlite3.Error, hide_parameters=True, dialect=_DIALECT)
        raise wrapped from error


def driver_of(conn: Connection) -> sqlite3.Connection:
    """The SQLite driver's own connection."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
