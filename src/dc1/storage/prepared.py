"""Statements of the hot paths, compiled once and handed straight to the driver.

SQLAlchemy spells them for each engine; executing them through it would take longer than the statement itself, on
either engine, and all Python threads share one interpreter.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn, TypeAlias

from sqlalchemy import Connection, Insert, Select, Table, Update, bindparam, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

Statement: TypeAlias = Select[*tuple[Any, ...]] | Insert | Update
Values: TypeAlias = Mapping[str, Any]
_Convert: TypeAlias = Callable[[Any], Any]

# The two drivers' connections and cursors have no common type; what is used of them is DB-API 2.0.
_Cursor: TypeAlias = Any


class Prepared:
    """A statement with named parameters, all of which every execution gives.

    ``columns`` names the columns of an INSERT that has no values of its own.
    """

    def __init__(self, statement: Statement, columns: Sequence[str] = ()) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, conn: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute and return every row."""
        return self._for(conn).rows(conn, values)

    def run(self, conn: Connection, values: Values) -> int:
        """Execute and return how many rows it changed."""
        rowcount: int = self._for(conn).execute(conn, values).rowcount
        return rowcount

    def run_many(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Execute once for each of ``rows``."""
        self._for(conn).execute_many(conn, rows)

    def _for(self, conn: Connection) -> "_Compiled":
        compiled = self._compiled.get(conn.dialect.name)
        if compiled is None:
            compiled = self._compiled[conn.dialect.name] = _Compiled(conn, self._statement, self._columns)
        return compiled


class PreparedInsert:
    """A statement that inserts one row into a table that numbers its rows by itself."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        (key,) = table.primary_key
        self._insert = Prepared(insert(table).returning(key), columns)

    def insert(self, conn: Connection, values: Values) -> int:
        """Insert a row and return the id that the database gave it."""
        row_id: int = self._insert.rows(conn, values)[0][0]
        return row_id


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


class _Compiled:
    """A statement in an engine's words, with the conversions that its columns ask for."""

    def __init__(self, conn: Connection, statement: Statement, columns: list[str]) -> None:
        self._dialect = conn.dialect
        # What nobody asked for is not to be returned, so the statement is compiled as one for many rows is.
        compiled = statement.compile(dialect=self._dialect, column_keys=columns or None, for_executemany=True)
        self._sql = str(compiled)
        types = {name: bind.type for bind, name in compiled.bind_names.items()}
        # SQLite's parameters have places, PostgreSQL's have names.
        self._names = None if compiled.positional else list(types)
        self._parameters: list[tuple[str, Any, _Convert | None]] = [
            (name, compiled.params[name], self._implemented(types[name]).bind_processor(self._dialect))
            for name in self._names or compiled.positiontup or ()
        ]
        self._types = [column.type for column in statement.exported_columns]
        self._results: list[_Convert | None] | None = None

    def rows(self, conn: Connection, values: Values) -> list[tuple[Any, ...]]:
        cursor = self.execute(conn, values)
        if self._results is None:
            self._results = [
                self._implemented(of).result_processor(self._dialect, told[1])
                for of, told in zip(self._types, cursor.description, strict=True)
            ]
        if not any(self._results):
            return [tuple(row) for row in cursor]
        return [
            tuple([value if convert is None else convert(value) for convert, value in zip(self._results, row)])  # noqa: B905
            for row in cursor
        ]

    def execute(self, conn: Connection, values: Values) -> _Cursor:
        driver = driver_of(conn)
        try:
            return driver.execute(self._sql, self._bind(values))
        except self._dialect.loaded_dbapi.Error as error:
            self._raise(conn, driver, error)

    def execute_many(self, conn: Connection, rows: Sequence[Values]) -> None:
        driver = driver_of(conn)
        try:
            driver.cursor().executemany(self._sql, [self._bind(values) for values in rows])
        except self._dialect.loaded_dbapi.Error as error:
            self._raise(conn, driver, error)

    def _implemented(self, of: TypeEngine[Any]) -> TypeEngine[Any]:
        return of.dialect_impl(self._dialect)

    def _bind(self, values: Values) -> list[Any] | dict[str, Any]:
        bound = []
        for name, constant, convert in self._parameters:
            value = values.get(name, constant)
            bound.append(value if convert is None else convert(value))
        return bound if self._names is None else dict(zip(self._names, bound, strict=True))

    def _raise(self, conn: Connection, driver: Any, error: Any) -> NoReturn:
        lost = self._dialect.is_disconnect(error, driver, None)
        if lost:
            conn.invalidate(error)
        raise DBAPIError.instance(
            self._sql,
            None,
            error,
            self._dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=self._dialect,
        ) from error


def driver_of(conn: Connection) -> Any:
    """The driver's own connection."""
    return conn.connection.driver_connection
