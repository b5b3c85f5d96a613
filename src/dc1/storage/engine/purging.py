"""Rows that are forgotten when they are old, some at a time and by any number of replicas at once."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from dc1.storage.engine.database import Database

AT_ONCE = 5_000
"""Rows that one transaction forgets: the one writer of SQLite waits meanwhile."""


async def forget_all(db: Database, forget: Callable[[Connection, int], int]) -> None:
    """Have `forget` delete some rows at a time, as many as it is given at most, until it finds fewer than those."""
    while await db.write(lambda conn: forget(conn, AT_ONCE)) >= AT_ONCE:
        pass


def forget_oldest(
    conn: Connection, table: Table, age: ColumnElement[int], *which: ColumnElement[bool], limit: int
) -> int:
    """Delete rows from the oldest on, `limit` at most; return how many.

    Rows that somebody else has locked are passed over. Two replicas that deleted them in orders of their own would
    wait for each other, and those that another deletes are no longer ours to delete.
    """
    key = tuple(table.primary_key)
    due = select(*key).where(*which).order_by(age).limit(limit).with_for_update(skip_locked=True)
    return conn.execute(delete(table).where(tuple_(*key).in_(due))).rowcount
