"""Counts what reaches the database, under the storage layer, so that nothing of it goes unseen."""

import sqlite3
from collections import Counter
from typing import Any, Self

import psycopg
from sqlalchemy import Engine, event

counted: Counter[str] = Counter()
"""Statements by their first word; one executed for many rows counts once."""


def _count(sql: object) -> None:
    text = sql.decode() if isinstance(sql, bytes) else str(sql)
    counted[text.split(None, 1)[0].upper()] += 1


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Self:
        _count(sql)
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, rows: Any) -> Self:
        _count(sql)
        return super().executemany(sql, rows)


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.execute(sql, *parameters)

    def commit(self) -> None:
        counted["COMMIT"] += 1
        super().commit()


def count_statements() -> None:
    """Count in this process from now on, on either engine."""

    @event.listens_for(Engine, "do_connect")
    def with_counting(dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            parameters["factory"] = _Connection

    # psycopg takes no cursor of ours where one of another kind is asked for by name.
    for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
        for name in ("execute", "executemany"):
            setattr(cursor, name, _counting(getattr(cursor, name)))
    commit = psycopg.Connection.commit

    def counting_commit(connection: psycopg.Connection[Any]) -> None:
        counted["COMMIT"] += 1
        commit(connection)

    setattr(psycopg.Connection, "commit", counting_commit)  # noqa: B010 - an assignment is what mypy refuses


def _counting(method: Any) -> Any:
    def call(self: Any, query: Any, *rest: Any, **options: Any) -> Any:
        _count(query)
        return method(self, query, *rest, **options)

    return call
