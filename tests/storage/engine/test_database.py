import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dc1.domain.errors import ApiError
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.embedded.writer import DatabaseClosedError
from tests.storage.market import NOW, Market


def register(conn: Connection, name: str) -> int:
    return renters.register(conn, renters.NewRenter(name, f"{name}@example.sa"), 0, NOW)


def count_renters(conn: Connection) -> int:
    return int(conn.execute(text("SELECT COUNT(*) FROM renters WHERE id > 0")).scalar_one())


async def test_what_was_written_is_seen_by_the_next_read(db: Database) -> None:
    for number in range(20):
        await db.write(lambda conn, name=f"n{number}": register(conn, name))  # type: ignore[misc]
        assert await db.read(count_renters) == number + 1


async def test_a_failing_unit_is_undone_alone(db: Database) -> None:
    def fail(conn: Connection, name: str) -> int:
        register(conn, name)
        raise LookupError(name)

    def break_a_rule(conn: Connection, name: str) -> int:
        register(conn, name)
        conn.execute(text("UPDATE accounts SET balance_halala = -1 WHERE kind = 'wallet'"))
        return 0

    # Whatever waits while another unit runs shares the next commit, so these meet in the same groups.
    works = [(register, fail, break_a_rule)[number % 3] for number in range(60)]
    outcomes = await asyncio.gather(
        *(db.write(lambda conn, n=number: works[n](conn, f"n{n}")) for number in range(60)),  # type: ignore[misc]
        return_exceptions=True,
    )
    for number, outcome in enumerate(outcomes):
        expected = (int, LookupError, DBAPIError)[number % 3]
        assert isinstance(outcome, expected), outcome
    assert await db.read(count_renters) == 20
    await Market(db).check_books()


async def test_a_refusal_keeps_its_type(db: Database) -> None:
    await db.write(lambda conn: register(conn, "a"))
    with pytest.raises(ApiError, match="already exists"):
        await db.write(lambda conn: register(conn, "a"))


async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(DBAPIError):
        await db.read(lambda conn: conn.execute(text("DELETE FROM prices")))


async def test_a_read_is_one_snapshot(db: Database) -> None:
    started, written = threading.Event(), threading.Event()

    def look_twice(conn: Connection) -> tuple[int, int]:
        before = count_renters(conn)
        started.set()
        assert written.wait(10)
        return before, count_renters(conn)

    reading = asyncio.create_task(db.read(look_twice))
    await asyncio.to_thread(started.wait, 10)
    await db.write(lambda conn: register(conn, "late"))
    written.set()
    assert await reading == (0, 0)
    assert await db.read(count_renters) == 1


async def test_many_writers_lose_nothing(db: Database) -> None:
    market = Market(db)
    renter = await market.renter(credit=2_000)
    results = await asyncio.gather(*(market.submit(renter) for _ in range(50)), return_exceptions=True)
    accepted = [job for job in results if not isinstance(job, BaseException)]
    assert len(accepted) == 44, "2000 halala pay for 44 jobs of 45"
    assert all(isinstance(error, ApiError) and error.status == 402 for error in results if error not in accepted)
    assert await market.wallet(renter) == (20, 1980)
    await market.check_books()


async def test_it_survives_being_closed(url: str) -> None:
    db = Database.open(url)
    pending = [asyncio.ensure_future(db.write(lambda conn, n=n: register(conn, f"n{n}"))) for n in range(10)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await db.close()
    await asyncio.gather(*pending)
    with pytest.raises((DatabaseClosedError, RuntimeError)):
        await db.write(lambda conn: register(conn, "late"))
    again = Database.open(url)
    assert await again.read(count_renters) == 10
    await again.close()


async def test_a_group_shares_one_commit(tmp_path: Path) -> None:
    db = Database.open(f"sqlite:///{tmp_path / 'dc1.sqlite3'}")
    gate = threading.Event()
    transactions: set[int] = set()

    def work(conn: Connection) -> None:
        gate.wait(10)
        transactions.add(id(conn.get_transaction()))

    first = asyncio.ensure_future(db.write(work))
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(db.write(work)) for _ in range(100)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *others)
    assert len(transactions) <= 2
    await db.close()


@pytest.mark.parametrize("bad", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_only_what_is_supported_opens(bad: str) -> None:
    with pytest.raises(ValueError, match=r"unsupported|needs a file"):
        Database.open(bad)
