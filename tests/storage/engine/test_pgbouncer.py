"""A pooler in front of PostgreSQL: what it keeps together is used, and what it does not is not asked of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from dc1.storage.accounts import wallets
from dc1.storage.cluster.change_feed import Notifications
from dc1.storage.engine import postgres, watchdog
from dc1.storage.engine.database import Database, UnreachableDatabaseError, UnusableDatabaseError, normalised
from dc1.storage.engine.unwritable import unwritable_reason
from dc1.testing.postgres import PostgresServer
from tests.storage.market import NOW, Market
from tests.support.pgbouncer import pgbouncer

_TOP_UPS = 200


@pytest.fixture
def direct(postgres_server: PostgresServer) -> Iterator[URL]:
    url = normalised(postgres_server.create())
    yield url
    postgres_server.drop(str(url.database))


@pytest.fixture
def by_transaction(direct: URL) -> Iterator[str]:
    with pgbouncer(direct, "transaction") as address:
        yield address


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


async def assert_serves(db: Database) -> None:
    """Do what is prepared elsewhere, many at once and over again, and see the books balance."""
    market = Market(db)
    renter = await market.renter(credit=0)
    paid = (market.do(wallets.top_up, renter, 1, f"t{number}", NOW) for number in range(_TOP_UPS))
    reads = (db.read(lambda conn: conn.execute(text("SELECT count(*) FROM renters"))) for _ in range(_TOP_UPS))
    await asyncio.gather(*paid, *reads)
    assert await market.wallet(renter) == (_TOP_UPS, 0)
    await market.check_books()


async def assert_heard(db: Database) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    first, second = Notifications(db.session_url, "first"), Notifications(db.session_url, "second")
    await second.subscribe()
    listening = asyncio.create_task(second.listen(heard.put_nowait))
    await asyncio.wait_for(heard.get(), 10)
    await first.send()
    await asyncio.wait_for(heard.get(), 10)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await first.close()
    await second.close()


async def test_by_transaction_it_serves_with_a_direct_address(direct: URL, by_transaction: str) -> None:
    db = Database.open(by_transaction, direct_url=shown(direct))
    await assert_serves(db)
    await assert_heard(db)
    await db.close()


async def test_by_transaction_alone_it_is_refused_with_a_sentence(by_transaction: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="DC1_DATABASE_DIRECT_URL"):
        Database.open(by_transaction)


@pytest.fixture
async def by_session(direct: URL) -> AsyncIterator[Database]:
    with pgbouncer(direct, "session", pool_size=20) as address:
        db = Database.open(address)
        yield db
        await db.close()


async def test_by_session_it_is_as_none(by_session: Database) -> None:
    await assert_serves(by_session)
    await assert_heard(by_session)


def test_one_whose_server_is_gone_is_waited_for_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a code of its own it says that it could not log in there, and not before it has tried."""
    monkeypatch.setitem(postgres._PATIENCE, "connect_timeout", 2)
    with PostgresServer.running(durable=False) as server:
        direct = normalised(server.create())
        with pgbouncer(direct, "transaction") as address:
            server.crash()
            for _ in range(2):
                with pytest.raises(UnreachableDatabaseError):
                    Database.open(address)


async def test_by_session_with_too_few_it_is_refused_with_a_sentence(direct: URL) -> None:
    with pgbouncer(direct, "session", pool_size=4) as address:
        with pytest.raises(UnreachableDatabaseError, match=r"lends 4 connections now, and 10 are needed"):
            Database.open(address)
        db = Database.open(address, connections=2)
        await assert_serves(db)
        await db.close()


async def test_by_session_one_that_ran_out_is_no_fault_of_ours(direct: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "GIVE_UP_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(watchdog, "SUSPECTED_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(watchdog, "ANSWERS_WITHIN_SECONDS", 1.0)
    with pgbouncer(direct, "session", pool_size=4) as address, ExitStack() as others:
        db = Database.open(address, connections=2)
        for _ in range(4):
            # Another server, which keeps them.
            others.enter_context(psycopg.connect(address, autocommit=True)).execute("SELECT 1")
        with pytest.raises(DBAPIError) as caught:
            await db.write(lambda conn: conn.execute(text("SELECT 1")))
        assert unwritable_reason(caught.value) == "unreachable"
        others.close()
        async with asyncio.timeout(20):
            while await db.why_unwritable(5) is not None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
        await db.write(lambda conn: conn.execute(text("SELECT 1")))
        await db.close()


async def test_a_direct_address_that_is_none_is_refused(
    direct: URL, by_transaction: str, postgres_server: PostgresServer
) -> None:
    other = postgres_server.create()
    for wrong in (by_transaction, other):
        with pytest.raises(UnusableDatabaseError, match="DC1_DATABASE_DIRECT_URL"):
            Database.open(by_transaction, direct_url=wrong)
    postgres_server.drop(str(normalised(other).database))
