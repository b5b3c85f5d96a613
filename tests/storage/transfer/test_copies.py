"""`dc1 db`: copies, backups and their return, from either engine to either, of a market with work behind it."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.storage.cluster import replicas
from dc1.storage.engine.database import Database, UnusableDatabaseError
from dc1.storage.engine.migrate import newest_revision, revisions
from dc1.storage.jobs import lifecycle
from dc1.storage.money import ledger_audit
from dc1.storage.transfer import care
from dc1.storage.transfer.backups import forget
from tests.storage.conftest import ENGINES, without_tables
from tests.storage.market import Market

DONE = AttemptReport(completed=True, result={"type": "text", "response": "البحر\u2028هادئ"})


def nobody(table: str, rows: int) -> None:
    pass


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    with without_tables(request.param, tmp_path / "other", request) as url:
        yield url


@pytest.fixture
async def market(db: Database) -> Market:
    """A renter, a provider, a job that was paid and one that waits."""
    market = Market(db)
    renter, provider = await market.renter(), await market.provider()
    done = await market.running(renter, provider)
    await market.do(lifecycle.finish, done.id, DONE, market.now + 60_000)
    await market.submit(renter)
    return market


def hidden_or_backup(directory: Path) -> list[str]:
    """What is left of a backup, finished or not."""
    return sorted(path.name for path in directory.iterdir() if path.name.startswith(".") or "backup" in path.name)


async def ledger(url: str) -> tuple[object, list[str]]:
    database = Database.open(url)
    try:
        return await database.read(ledger_audit.trial_balance), await database.read(ledger_audit.verify)
    finally:
        await database.close()


async def test_a_copy_is_the_market_itself_and_goes_on(market: Market, url: str, target: str) -> None:
    rows = {table.name: table.rows for table in await asyncio.to_thread(care.copy, url, target, nobody)}
    assert (rows["jobs"], rows["job_results"], rows["renters"]) == (2, 1, 2)
    assert await ledger(target) == await ledger(url)
    # What is new there has a number of its own.
    there = Database.open(target)
    try:
        other = Market(there)
        assert await other.renter() == 2
    finally:
        await there.close()
    assert care.examine(target).problems == []


async def test_a_market_in_use_is_not_copied_over(market: Market, url: str, target: str) -> None:
    care.copy(url, target, nobody)
    before = await ledger(target)
    with pytest.raises(UnusableDatabaseError, match="the target is in use"):
        care.copy(url, target, nobody)
    assert await ledger(target) == before


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_an_older_market_in_use_is_not_even_brought_up_to_date(market: Market, url: str, target: str) -> None:
    """Its servers go on, which would not know the tables."""
    care.copy(url, target, nobody)
    older = care.downgrade(target, revisions()[-3]).revision
    with pytest.raises(UnusableDatabaseError, match="the target is in use"):
        care.copy(url, target, nobody)
    assert care.examine(target).revision == older


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_whoever_copies_is_told_of_servers_at_work(db: Database, url: str) -> None:
    """Of a SQLite file their lock says so."""
    care.require_no_servers(url)
    await db.write(lambda conn: replicas.renew(conn, "r1", 60_000))
    with pytest.raises(UnusableDatabaseError, match=r"servers work on it \(1\); stop them first"):
        care.require_no_servers(url)
    await db.write(lambda conn: replicas.renew(conn, "r1", -1))
    care.require_no_servers(url)


async def test_books_that_do_not_balance_are_neither_copied_nor_backed_up(
    market: Market, url: str, target: str, tmp_path: Path
) -> None:
    await market.db.write(lambda conn: conn.execute(text("UPDATE accounts SET balance_halala = balance_halala + 1")))
    with pytest.raises(UnusableDatabaseError, match="has a balance of"):
        care.copy(url, target, nobody)
    with pytest.raises(UnusableDatabaseError, match="has a balance of"):
        care.back_up(url, tmp_path / "backup.sqlite3", nobody)
    assert care.examine(url).problems != []
    assert hidden_or_backup(tmp_path) == []


async def test_a_backup_comes_back_on_either_engine(market: Market, url: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "100%20 #1?").mkdir()
    file = tmp_path / "100%20 #1?" / "backup.sqlite3"
    care.back_up(url, file, nobody)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnusableDatabaseError, match="is there already"):
        care.back_up(url, file, nobody)
    found = care.restore(file, target, nobody)
    assert (found.revision, found.missing, found.problems) == (newest_revision(), [], [])
    assert await ledger(target) == await ledger(url)
    assert hidden_or_backup(file.parent) == ["backup.sqlite3"]


async def test_a_backup_of_an_older_version_is_brought_up_to_date(
    market: Market, url: str, target: str, tmp_path: Path
) -> None:
    file = tmp_path / "old.sqlite3"
    care.back_up(url, file, nobody)
    care.downgrade(f"sqlite:///{file}", revisions()[-3])
    old = file.read_bytes()
    assert care.restore(file, target, nobody).missing == []
    assert file.read_bytes() == old


async def test_a_backup_is_made_while_servers_write(market: Market, url: str, tmp_path: Path) -> None:
    """It is of one moment, and those who write do not wait for it."""
    backing = asyncio.create_task(asyncio.to_thread(care.back_up, url, tmp_path / "backup.sqlite3", nobody))
    written = 0
    while not backing.done():
        await market.renter()
        written += 1
    await backing
    assert written > 0
    assert care.examine(f"sqlite:///{tmp_path / 'backup.sqlite3'}").problems == []


@pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
def test_what_is_no_backup_is_not_restored(target: str, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "backup.sqlite3"
    file.write_bytes(content)
    with pytest.raises(UnusableDatabaseError):
        care.restore(file, target, nobody)
    assert not (tmp_path / "other" / "dc1.sqlite3").exists()


def test_damage_is_found(sqlite_template: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged.sqlite3"
    pages = bytearray(sqlite_template.read_bytes())
    pages[4096 * 3 : 4096 * 9] = b"\x55" * (4096 * 6)
    file.write_bytes(pages)
    try:
        problems = care.examine(f"sqlite:///{file}").problems
    except UnusableDatabaseError as error:
        problems = [str(error)]
    assert any("malformed" in problem or "damaged" in problem for problem in problems)


def test_an_orphan_is_found(sqlite_template: Path, tmp_path: Path) -> None:
    file = tmp_path / "dc1.sqlite3"
    file.write_bytes(sqlite_template.read_bytes())
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO job_log_heads SELECT 7, 0, 0")
    assert "row" in care.examine(f"sqlite:///{file}").problems[0]


def test_only_the_newest_backups_are_kept(tmp_path: Path) -> None:
    for day in range(1, 6):
        (tmp_path / f"dc1-2026010{day}T000000Z.sqlite3").touch()
    (tmp_path / "of-somebody-else.sqlite3").touch()
    (tmp_path / "dc1-before-the-move.sqlite3").touch()
    assert [path.name[4:12] for path in forget(tmp_path, 2)] == ["20260101", "20260102", "20260103"]
    assert len(list(tmp_path.iterdir())) == 4
