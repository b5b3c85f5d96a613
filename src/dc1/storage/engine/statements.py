"""Statements of the hot paths, compiled once and handed straight to the driver.

SQLAlchemy spells them for each engine; executing them through it would take longer than the statement itself, on
either engine, and all Python threads share one interpreter.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg import RawCursor
from sqlalchemy import (
    BindParameter,
    Connection,
    Dialect,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, registry, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dc1.storage.engine import followed
from dc1.storage.engine.embedded.held_rows import HeldRows, addition_of, held_by, referred

Statement: TypeAlias = Select[*tuple[Any, ...]] | Insert | Update
Values: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = Callable[[], list[tuple[Any, ...]]]
_Convert: TypeAlias = Callable[[Any], Any]

# The two drivers' connections and cursors have no common type; what is used of them is DB-API 2.0.
_Cursor: TypeAlias = Any

# In the placeholders that each driver takes as they are: `?` of sqlite3, `$1` of a raw cursor of psycopg.
_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": registry.load("sqlite.pysqlite")(paramstyle="qmark", dbapi=sqlite3),
    "postgresql": registry.load("postgresql.psycopg")(paramstyle="numeric_dollar", dbapi=psycopg),
}

# What each connection has still to send. Weak, for nobody tells us when a connection object is dropped.
_sent: WeakKeyDictionary[Connection, list["_Pending"]] = WeakKeyDictionary()


class PreparedStatement:
    """A statement with named parameters, all of which every execution gives.

    `columns` names the columns of an INSERT that has no values of its own. `raised` are those that are added to what a
    row has, of a statement that does nothing else to one that is there.
    """

    def __init__(self, statement: Statement, columns: Sequence[str] = (), raised: Sequence[str] = ()) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._raised = raised
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, conn: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute and return every row."""
        return self._for(conn).rows(conn, values)

    def run(self, conn: Connection, values: Values) -> int:
        """Execute and return how many rows it changed."""
        rowcount: int = self._for(conn).execute(conn, values).rowcount
        return rowcount

    def send(self, conn: Connection, values: Values, *, changing: int | None = None) -> None:
        """Execute and ask nothing back; unless it is `changing` so many rows, its unit of work fails.

        On PostgreSQL it leaves with the next statement or with the commit, in one round trip, and may fail there. On
        SQLite what only adds a row is written before somebody looks at the table or with the commit, together with what
        other units of the group add.
        """
        self._for(conn).send(conn, values, changing)

    def ask(self, conn: Connection, values: Values) -> Answer:
        """Execute, and return what gives the rows when it is called, in the same transaction and once.

        On PostgreSQL it leaves as `send` does: all that is asked before the first answer is wanted is one round trip.
        """
        return self._for(conn).ask(conn, values)

    def run_many(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Execute once for each of `rows`."""
        self._for(conn).execute_many(conn, rows)

    def _for(self, conn: Connection) -> "_Compiled":
        # Compiled when first used: only the connection says for which engine.
        compiled = self._compiled.get(conn.dialect.name)
        if compiled is None:
            compiled = _Compiled(self._statement, self._columns, self._raised, conn.dialect.name)
            self._compiled[conn.dialect.name] = compiled
        return compiled


class PreparedInsert:
    """A statement that inserts one row into a table that numbers its rows by itself."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        (key,) = table.primary_key
        self._key = key.name
        self._insert = PreparedStatement(insert(table).returning(key), columns)
        self._insert_numbered = PreparedStatement(insert(table), [key.name, *columns])

    def insert(self, conn: Connection, values: Values, asked: "AskedId" = None) -> int:
        """Insert a row and return the id that the database gave it, by an answer it has given already if `asked`."""
        if asked is None:
            row_id: int = self._insert.rows(conn, values)[0][0]
            return row_id
        ((row_id,),) = asked()
        self._insert_numbered.send(conn, {**values, self._key: row_id})
        return row_id


def numbered_rows(table: Table, names: Sequence[str], count: int) -> list[dict[str, BindParameter[Any]]]:
    """Return `count` rows for one INSERT; the parameters of each are called after its columns and its number."""
    return [{name: bindparam(f"{name}_{index}", type_=table.c[name].type) for name in names} for index in range(count)]


AskedId: TypeAlias = Answer | None
"""What tells the id of a row that may be inserted, None where the row has it when it is."""


def ask_id(conn: Connection, table: Table) -> AskedId:
    """Ask for the id of a row that may be inserted, with whatever else is asked; unused, it is nobody's."""
    # An embedded engine has no way to give one out before the row, nor a round trip to save.
    return None if conn.dialect.name == "sqlite" else _next_id(table).ask(conn, {})


@cache
def _next_id(table: Table) -> PreparedStatement:
    (key,) = table.primary_key
    return PreparedStatement(select(func.nextval(func.pg_get_serial_sequence(table.name, key.name))))


def upsert(
    conn: Connection,
    table: Table,
    key: tuple[str, ...],
    *,
    new: tuple[str, ...] = (),
    add: tuple[str, ...] = (),
    replace: tuple[str, ...] = (),
    returning: tuple[str, ...] = (),
) -> PreparedStatement:
    """Return the statement that inserts a row or, where one has this `key`, changes it.

    An existing row gets the columns `add` raised and `replace` replaced; the columns `new` are only set in a new
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
) -> PreparedStatement:
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
    if returning:
        return PreparedStatement(statement.returning(*[table.c[name] for name in returning]))
    return PreparedStatement(statement, raised=() if new or replace else add)


@dataclass(slots=True)
class _Pending:
    """A statement that is to be sent, and its cursor once it was."""

    sql: str
    bound: list[Any]
    changing: int | None = None
    cursor: _Cursor | None = None
    prepare: bool | None = None
    """Whether the server keeps it; None once it has come often."""

    def require_changes(self) -> None:
        # Before the commit, which never leaves with what it would make durable.
        if self.cursor is not None and self.changing not in (None, self.cursor.rowcount):
            raise RuntimeError(f"{self.cursor.rowcount} rows were changed, and not {self.changing}")


class _Compiled:
    """A statement in an engine's words, with the conversions that its columns ask for."""

    def __init__(self, statement: Statement, columns: list[str], raised: Sequence[str], engine_name: str) -> None:
        self._dialect = _DIALECTS[engine_name]
        self._is_remote = engine_name == "postgresql"
        self._is_news = followed.is_news(statement)
        # What nobody asked for is not to be returned, so the statement is compiled as one for many rows is.
        compiled = statement.compile(dialect=self._dialect, column_keys=columns or None, for_executemany=True)
        self._sql = str(compiled)
        types = {name: bind.type for bind, name in compiled.bind_names.items()}
        names = compiled.positiontup or ()
        self._parameters = [(name, compiled.params[name]) for name in names]
        # Apart, for most parameters are handed over as they are, and a job has eighty.
        converted = [self._implemented(types[name]).bind_processor(self._dialect) for name in names]
        self._conversions = [(at, convert) for at, convert in enumerate(converted) if convert is not None]
        self._types = [column.type for column in statement.exported_columns]
        self._results: list[_Convert | None] | None = None
        # Among them the tables that it reads or changes, and those that its rows refer to.
        self._words = {*re.findall(r"\w+", self._sql), *referred(statement)}
        places = {at for at, _ in self._conversions}
        self._addition = None if self._is_remote else addition_of(statement, self._sql, names, raised, places)

    def rows(self, conn: Connection, values: Values) -> list[tuple[Any, ...]]:
        return self.fetched(self.execute(conn, values))

    def fetched(self, cursor: _Cursor) -> list[tuple[Any, ...]]:
        # The drivers' types are known once there is a cursor to ask.
        if self._results is None:
            self._results = [
                self._implemented(of).result_processor(self._dialect, told[1])
                for of, told in zip(self._types, cursor.description, strict=True)
            ]
        if not any(self._results):
            return [tuple(row) for row in cursor]
        return [
            # Nothing counts the columns of every row: they are those of the cursor.
            tuple([value if convert is None else convert(value) for convert, value in zip(self._results, row)])  # noqa: B905
            for row in cursor
        ]

    def execute(self, conn: Connection, values: Values) -> _Cursor:
        bound = self._bind(conn, values)
        if self._is_remote:
            return _round_trip(conn, _Pending(self._sql, bound))
        held = held_by(conn)
        if held is not None and held.concerns(self._words):
            send_pending(conn)
        driver = driver_of(conn)
        try:
            return driver.execute(self._sql, bound)
        except sqlite3.Error as error:
            _raise(conn, driver, error)

    def send(self, conn: Connection, values: Values, changing: int | None) -> _Pending:
        if self._is_remote:
            pending = _Pending(self._sql, self._bind(conn, values), changing)
            _sent.setdefault(conn, []).append(pending)
            return pending
        if (addition := self._addition) is not None and (held := held_by(conn)) is not None:
            if held.concerns(addition.refers_to):
                send_pending(conn)
            held.add(addition, self._bind(conn, values))
            if held.is_large:
                send_pending(conn)
            return _Pending(self._sql, [])
        # On an embedded engine there is no round trip to save.
        done = _Pending(self._sql, [], changing, self.execute(conn, values))
        done.require_changes()
        return done

    def ask(self, conn: Connection, values: Values) -> Answer:
        if not self._is_remote:
            # At once, for a cursor would read on in what is changed meanwhile.
            found = self.rows(conn, values)
            return lambda: found
        asked = self.send(conn, values, None)

        def rows() -> list[tuple[Any, ...]]:
            if asked.cursor is None:
                send_pending(conn)
            return self.fetched(asked.cursor)

        return rows

    def execute_many(self, conn: Connection, rows: Sequence[Values]) -> None:
        send_pending(conn)
        driver = driver_of(conn)
        try:
            cursor = RawCursor(driver) if self._is_remote else driver.cursor()
            cursor.executemany(self._sql, [self._bind(conn, values) for values in rows])
        except self._dialect.loaded_dbapi.Error as error:
            _raise(conn, driver, error)

    def _implemented(self, of: TypeEngine[Any]) -> TypeEngine[Any]:
        return of.dialect_impl(self._dialect)

    def _bind(self, conn: Connection, values: Values) -> list[Any]:
        # Of each execution, and before it: whoever is told once too often only looks.
        if self._is_news:
            followed.note(conn)
        given = values.get
        bound = [given(name, constant) for name, constant in self._parameters]
        for at, convert in self._conversions:
            bound[at] = convert(bound[at])
        return bound


def _round_trip(conn: Connection, last: _Pending) -> _Cursor:
    """Execute after all that was sent before."""
    driver = driver_of(conn)
    sent = [*_sent.pop(conn, ()), last]
    try:
        if len(sent) == 1:
            last.cursor = RawCursor(driver).execute(last.sql, last.bound, prepare=last.prepare)
        else:
            with driver.pipeline():
                for each in sent:
                    # psycopg's usual cursor would rewrite the placeholders of a long statement each time.
                    each.cursor = RawCursor(driver).execute(each.sql, each.bound, prepare=each.prepare)
    except psycopg.Error as error:
        _raise(conn, driver, error)
    for each in sent:
        each.require_changes()
    return last.cursor


def leave_begin(conn: Connection, sql: str) -> None:
    """Have a transaction begin with its first statement, in one round trip."""
    # Of what is pending before nothing belongs to this transaction.
    _sent[conn] = [_Pending(sql, [], prepare=False)]


def send_pending(conn: Connection) -> None:
    """Execute what was sent and has not left yet."""
    if (held := held_by(conn)) is not None:
        _write_held(conn, held)
    elif sent := _sent.get(conn):
        # All but the last leave with it.
        _round_trip(conn, sent.pop())


def _write_held(conn: Connection, held: HeldRows) -> None:
    driver = driver_of(conn)
    try:
        for sql, rows in held.take():
            driver.executemany(sql, rows)
    except Exception as error:
        # It is not told to whoever added the row, but to whoever comes upon it. What comes after it is not written.
        held.is_broken = True
        if isinstance(error, sqlite3.Error):
            _raise(conn, driver, error)
        # What the driver could not hand over: half a character, or a number beyond 64 bits.
        raise


def drop_pending(conn: Connection) -> None:
    """Drop what was sent and has not left yet, for the transaction is rolled back."""
    _sent.pop(conn, None)


def _raise(conn: Connection, driver: Any, error: Any) -> NoReturn:
    dialect = conn.dialect
    lost = dialect.is_disconnect(error, driver, None)
    # The pool must not hand such a connection out again.
    if lost:
        conn.invalidate(error)
    # As SQLAlchemy raises for what it executes itself, so that callers know one kind of error.
    raise DBAPIError.instance(
        None,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    ) from error


def driver_of(conn: Connection) -> Any:
    """Return the driver's own connection."""
    return conn.connection.driver_connection
