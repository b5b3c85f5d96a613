"""Units that share a commit of SQLite share what they write as well, and yet each stores all of its own or nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, ForeignKey, Integer, MetaData, Table, Text, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from dc1.storage.engine.database import Database
from dc1.storage.engine.statements import PreparedStatement, driver_of
from dc1.storage.money import counters
from dc1.storage.schema.tables import prices

_ADD = PreparedStatement(insert(prices), ["job_type", "rate_halala", "updated_at_ms"])
_COUNT = PreparedStatement(select(func.count()).select_from(prices))


@pytest.fixture
async def db(database_file: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{database_file}")
    yield database
    await database.close()


async def together(db: Database, works: Sequence[Callable[[Connection], Any]]) -> tuple[list[Any], list[str]]:
    """Run units in one group; return what came of them, and the statements that it took."""
    entered, gate, seen = threading.Event(), threading.Event(), list[str]()

    def wait(conn: Connection) -> None:
        entered.set()
        gate.wait(20)
        driver_of(conn).set_trace_callback(seen.append)

    first = asyncio.ensure_future(db.write(wait))
    # Or it would share its commit with some of them.
    await asyncio.to_thread(entered.wait, 20)
    units = [asyncio.ensure_future(db.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.set()
    outcomes = await asyncio.gather(*units, return_exceptions=True)
    await first
    await db.write(lambda conn: driver_of(conn).set_trace_callback(None))
    return outcomes, seen


def add(conn: Connection, job_type: str) -> None:
    _ADD.send(conn, {"job_type": job_type, "rate_halala": 1, "updated_at_ms": 0})


def count(conn: Connection) -> int:
    counters.change(conn, 3, jobs_queued=1)
    return 1


async def stored(db: Database) -> tuple[int, int]:
    """How many prices there are, and what was counted."""
    rows = await db.read(lambda conn: _COUNT.rows(conn, {})[0][0])
    return rows, (await db.read(counters.read)).jobs_queued


async def test_what_all_count_in_one_row_is_written_once(db: Database) -> None:
    outcomes, seen = await together(db, [count] * 20)
    assert outcomes == [1] * 20
    assert [sql for sql in seen if "totals" in sql or "SAVEPOINT" in sql] == [
        sql for sql in seen if sql.startswith("INSERT INTO totals")
    ]
    assert sum(sql.startswith("INSERT INTO totals") for sql in seen) == 1
    assert (await stored(db))[1] == 20


async def test_whoever_looks_finds_what_was_sent_before(db: Database) -> None:
    """By a prepared statement or any other one, of its own unit or of one before it in the group."""
    before, _ = await stored(db)
    found: list[int] = []

    def look(conn: Connection) -> None:
        found.append(_COUNT.rows(conn, {})[0][0])

    def look_otherwise(conn: Connection) -> None:
        add(conn, "two")
        found.append(conn.execute(text("SELECT COUNT(*) FROM prices")).scalar_one())

    await together(db, [lambda conn: add(conn, "one"), look, look_otherwise, look])
    assert found == [before + 1, before + 2, before + 2]


async def test_a_unit_that_fails_takes_back_what_it_has_sent_alone(db: Database) -> None:
    before, _ = await stored(db)

    def fail(conn: Connection) -> None:
        add(conn, "failed")
        count(conn)
        raise LookupError("changed its mind")

    outcomes, _ = await together(db, [count, lambda conn: add(conn, "one"), fail, count])
    assert [type(outcome) for outcome in outcomes] == [int, type(None), LookupError, int]
    assert await stored(db) == (before + 1, 2)


async def test_a_unit_that_fails_before_it_writes_costs_the_others_nothing(db: Database) -> None:
    runs: list[int] = []

    def note(conn: Connection) -> int:
        runs.append(1)
        return count(conn)

    def fail(conn: Connection) -> None:
        _COUNT.rows(conn, {})
        raise LookupError("cannot pay")

    outcomes, seen = await together(db, [note, fail, note])
    assert [type(outcome) for outcome in outcomes] == [int, LookupError, int]
    assert len(runs) == 2
    assert not any("SAVEPOINT" in sql or "ROLLBACK" in sql for sql in seen)
    assert (await stored(db))[1] == 2


async def test_a_row_is_written_behind_what_it_refers_to_in_whatever_order_their_tables_came(db: Database) -> None:
    """The first of those that refer came before any of what they refer to."""
    metadata = MetaData()
    parents = Table("parents", metadata, Column("name", Text, primary_key=True))
    children = Table("children", metadata, Column("parent", ForeignKey("parents.name")))
    add_parent, add_child = (PreparedStatement(insert(each), each.c.keys()) for each in (parents, children))
    await db.write(metadata.create_all)

    def work(conn: Connection) -> None:
        add_child.send(conn, {"parent": None})
        for name in ("one", "two"):
            add_parent.send(conn, {"name": name})
            add_child.send(conn, {"parent": name})

    assert (await together(db, [work]))[0] == [None]
    (count,) = await db.read(lambda conn: conn.execute(select(func.count()).select_from(children)).one())
    assert count == 3


@pytest.mark.parametrize("alone", [False, True])
async def test_who_takes_the_error_of_what_was_held_for_another_one_stores_nothing(
    db: Database, *, alone: bool
) -> None:
    before, _ = await stored(db)

    def work(conn: Connection) -> str:
        add(conn, "one")
        add(conn, "one")
        try:
            conn.execute(text("SELECT 1")).scalar_one()
        except IntegrityError:
            return "taken for something else"
        return "not noticed"

    outcomes, _ = await together(db, [work] if alone else [count, work, count])
    assert [type(outcome) for outcome in outcomes] == ([RuntimeError] if alone else [int, RuntimeError, int])
    assert await stored(db) == (before, 0 if alone else 2)


async def test_rows_that_the_database_numbers_come_in_their_order(db: Database) -> None:
    metadata = MetaData()
    numbered = Table(
        "numbered", metadata, Column("id", Integer, primary_key=True), Column("a", Text), Column("b", Text)
    )
    await db.write(metadata.create_all)
    adds = [PreparedStatement(insert(numbered), [name]) for name in ("a", "b")]

    def work(conn: Connection) -> None:
        for index in range(4):
            adds[index % 2].send(conn, {"ab"[index % 2]: str(index)})

    await together(db, [work, work])
    rows = await db.read(lambda conn: conn.execute(select(numbered.c.a, numbered.c.b).order_by(numbered.c.id)).all())
    assert [a or b for a, b in rows] == ["0", "1", "2", "3"] * 2


@pytest.mark.parametrize("looks", [False, True])
async def test_what_cannot_be_written_fails_the_unit_that_sent_it_and_no_other(db: Database, *, looks: bool) -> None:
    """Be it that another unit comes upon it, which is not to blame."""
    before, _ = await stored(db)
    units = [
        lambda conn: add(conn, "one"),
        lambda conn: add(conn, "one"),
        lambda conn: _COUNT.rows(conn, {})[0][0] if looks else 0,
        lambda conn: add(conn, "two"),
    ]
    outcomes, _ = await together(db, units)
    assert [type(outcome) for outcome in outcomes] == [type(None), IntegrityError, int, type(None)]
    assert await stored(db) == (before + 2, 0)
    # The next group shares again, though not at once.
    assert (await together(db, [count] * 3))[0] == [1] * 3
    assert (await stored(db))[1] == 3


@pytest.mark.parametrize("looks", [False, True])
async def test_what_cannot_be_handed_over_fails_the_unit_that_sent_it_and_no_other(
    db: Database, *, looks: bool
) -> None:
    """It is no error of SQLite's: whoever came upon it took it for its own, and what was sent before was gone."""
    before, _ = await stored(db)
    units = [
        lambda conn: add(conn, "half a \ud800"),
        lambda conn: _COUNT.rows(conn, {})[0][0] if looks else 0,
        count,
        lambda conn: add(conn, "two"),
    ]
    outcomes, _ = await together(db, units)
    assert [type(outcome) for outcome in outcomes] == [UnicodeEncodeError, int, int, type(None)]
    assert await stored(db) == (before + 1, 1)


async def test_long_texts_are_not_held(db: Database) -> None:
    """A group of calls with documents would have all of them in memory once more."""
    long = "long" * 300_000

    def send(conn: Connection) -> int:
        add(conn, long)
        found = driver_of(conn).execute("SELECT COUNT(*) FROM prices WHERE job_type = ?", [long])
        return int(found.fetchone()[0])

    assert (await together(db, [count, send]))[0] == [1, 1]
