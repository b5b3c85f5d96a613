"""Counts what reaches SQLite, under the storage layer, so that nothing of it goes unseen."""

import sqlite3
from collections import Counter
from typing import Any, Self

from sqlalchemy import Engine, event

counted: Counter[str] = Counter()
"""Statements by their first word; an executemany is one, and `rows` counts what it was executed for."""


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> Self:
        counted[sql.split(None, 1)[0].upper()] += 1
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, rows: Any) -> Self:
        rows = list(rows)
        counted[sql.split(None, 1)[0].upper()] += 1
        counted["rows"] += len(rows)
        return super().executemany(sql, rows)


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.execute(sql, *parameters)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.executemany(sql, rows)

    def commit(self) -> None:
        counted["COMMIT"] += 1
        super().commit()


def count_statements() -> None:
    """Count in this process from now on."""

    @event.listens_for(Engine, "do_connect")
    def with_counting(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["factory"] = _Connection
