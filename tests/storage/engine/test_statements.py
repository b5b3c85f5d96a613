"""Prepared statements, in particular those that ask nothing back: when they leave, and what becomes of them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Integer, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from dc1.storage.engine.database import Database
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.schema.tables import prices

_ADD = PreparedStatement(insert(prices), ["job_type", "rate_halala", "updated_at_ms"])
_CHANGE = PreparedStatement(
    update(prices).where(prices.c.job_type == bindparam("wanted")).values(rate_halala=bindparam("rate"))
)
_RATE = PreparedStatement(select(prices.c.rate_halala).where(prices.c.job_type == bindparam("wanted")))


class Absolute(FunctionElement[int]):
    """A function that counts how often it is compiled."""

    name = "abs"
    type = Integer()
    inherit_cache = True
    compiled = 0


@compiles(Absolute)
def _count(element: Absolute, compiler: Any, **options: Any) -> str:
    Absolute.compiled += 1
    return f"abs({compiler.process(element.clauses, **options)})"


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    """With one connection, so that each unit of work comes upon what the one before left."""
    database = Database.open(url, connections=1)
    yield database
    await database.close()


def add(conn: Connection, job_type: str, rate: int) -> None:
    _ADD.send(conn, {"job_type": job_type, "rate_halala": rate, "updated_at_ms": 0})


def rates(conn: Connection, job_type: str) -> list[int]:
    return [rate for (rate,) in _RATE.rows(conn, {"wanted": job_type})]


async def test_what_was_sent_is_seen_by_the_next_prepared_statement(db: Database) -> None:
    def work(conn: Connection) -> list[int]:
        add(conn, "one", 1)
        return rates(conn, "one")

    assert await db.write(work) == [1]


async def test_what_was_sent_is_seen_by_any_other_statement(db: Database) -> None:
    def count(conn: Connection) -> int:
        return conn.execute(select(func.count()).select_from(prices)).scalar_one()

    def work(conn: Connection) -> int:
        add(conn, "one", 1)
        add(conn, "two", 2)
        return count(conn)

    before = await db.read(count)
    assert await db.write(work) == before + 2


async def test_what_was_sent_last_is_committed(db: Database) -> None:
    await db.write(lambda conn: add(conn, "one", 1))
    assert await db.read(lambda conn: rates(conn, "one")) == [1]


async def test_what_was_sent_by_a_unit_that_failed_is_gone(db: Database) -> None:
    def fail(conn: Connection) -> None:
        add(conn, "one", 1)
        raise LookupError("changed its mind")

    with pytest.raises(LookupError):
        await db.write(fail)
    await db.write(lambda conn: add(conn, "two", 2))
    assert await db.read(lambda conn: (rates(conn, "one"), rates(conn, "two"))) == ([], [2])


async def test_what_was_sent_in_vain_fails_its_unit_and_no_other(db: Database) -> None:
    def twice(conn: Connection) -> None:
        add(conn, "one", 1)
        add(conn, "two", 2)
        add(conn, "one", 3)

    with pytest.raises(IntegrityError):
        await db.write(twice)
    await db.write(lambda conn: add(conn, "two", 4))
    assert await db.read(lambda conn: (rates(conn, "one"), rates(conn, "two"))) == ([], [4])


async def test_an_answer_is_of_the_moment_at_which_it_was_asked_for(db: Database) -> None:
    def work(conn: Connection) -> list[list[int]]:
        add(conn, "one", 1)
        before = _RATE.ask(conn, {"wanted": "one"})
        _CHANGE.send(conn, {"wanted": "one", "rate": 2})
        after = _RATE.ask(conn, {"wanted": "one"})
        return [[rate for (rate,) in answer()] for answer in (after, before)]

    assert await db.write(work) == [[2], [1]]


async def test_a_unit_that_changes_other_than_it_says_stores_nothing(db: Database) -> None:
    def work(conn: Connection, wanted: str) -> None:
        add(conn, "one", 1)
        _CHANGE.send(conn, {"wanted": wanted, "rate": 2}, changing=1)

    with pytest.raises(RuntimeError, match="0 rows were changed, and not 1"):
        await db.write(lambda conn: work(conn, "two"))
    assert await db.read(lambda conn: rates(conn, "one")) == []
    await db.write(lambda conn: work(conn, "one"))
    assert await db.read(lambda conn: rates(conn, "one")) == [2]


async def test_a_statement_is_compiled_once_for_reads_and_writes_of_every_database(db: Database, url: str) -> None:
    # A name of its own, as the process may have run this before.
    name = f"absolute_{uuid4().hex}"

    def work(conn: Connection, value: int) -> int:
        return conn.execute(select(Absolute(bindparam("value", value)).label(name))).scalar_one()

    before = Absolute.compiled
    other = Database.open(url, connections=1)
    try:
        answers = [
            await db.read(lambda conn: work(conn, -1)),
            await db.write(lambda conn: work(conn, -2)),
            await other.read(lambda conn: work(conn, -3)),
        ]
    finally:
        await other.close()
    assert answers == [1, 2, 3]
    assert Absolute.compiled - before == 1
