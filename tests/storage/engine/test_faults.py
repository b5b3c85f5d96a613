"""What the two engines do when something under them breaks."""

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dc1.storage.accounts import wallets
from dc1.storage.engine import postgres
from dc1.storage.engine.database import Connection, Database, normalised
from dc1.storage.engine.embedded import writer
from dc1.storage.engine.postgres import patience
from dc1.storage.engine.statements import driver_of
from dc1.storage.engine.unwritable import OutcomeUnknownError, UnwritableError, UnwritableReason
from dc1.testing.postgres import PostgresServer
from tests.storage.engine.postgres_proxy import SOCKET_NAME, CuttingProxy
from tests.storage.market import NOW, Market

on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"])
on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"])


@pytest.fixture
def proxy(url: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(Path(str(make_url(url).query["host"])) / SOCKET_NAME)
    yield proxy
    proxy.close()


@on_postgresql
@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_connection_lost_during_commit_never_pays_twice(url: str, proxy: CuttingProxy, cut: str) -> None:
    through_proxy = make_url(url).update_query_dict({"host": proxy.host}).render_as_string(hide_password=False)
    db = Database.open(through_proxy)
    market = Market(db)
    renter = await market.renter(credit=0)
    for number in range(5):
        proxy.cut = cut
        # Top-ups are unique by their reference, so a unit that were applied twice would fail.
        await market.do(wallets.top_up, renter, 100, f"t{number}", NOW)
    assert proxy.cuts == 5
    assert await market.wallet(renter) == (500, 0)
    await market.check_books()
    await db.close()


_OF_THIS_TRANSACTION = text(
    "SELECT pg_current_xact_id_if_assigned()::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),"
    " pg_stat_get_bgwriter_stat_reset_time()::text"
)


def test_what_a_transaction_of_before_a_crash_became_is_not_known() -> None:
    """Its id may be somebody else's by then: what had not reached the disk is given out again."""
    with PostgresServer.running(durable=False) as server:
        engine = create_engine(normalised(server.create()))
        with engine.begin() as connection:
            connection.execute(text("UPDATE prices SET rate_halala = 26 WHERE job_type = 'training'"))
            xid, timeline, life = connection.execute(_OF_THIS_TRANSACTION).one()

        def has_committed() -> bool:
            engine.dispose()
            return postgres._Attempts(engine, postgres.Generation(engine))._committed(xid, timeline, life)

        assert has_committed()
        server.stop()
        server.start()
        assert has_committed(), "a restart in order keeps every word"
        server.crash()
        server.start()
        with pytest.raises(OutcomeUnknownError):
            has_committed()
        engine.dispose()


@on_postgresql
async def test_a_unit_whose_connection_dies_runs_again(db: Database) -> None:
    runs = 0

    def work(conn: Connection) -> int:
        nonlocal runs
        runs += 1
        conn.execute(text("UPDATE prices SET rate_halala = rate_halala + 1 WHERE job_type = 'training'"))
        if runs == 1:
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return int(conn.execute(text("SELECT rate_halala FROM prices WHERE job_type = 'training'")).scalar_one())

    assert await db.write(work) == 26
    assert runs == 2
    for _ in range(20):
        await db.read(lambda conn: conn.execute(text("SELECT 1")))


@on_postgresql
async def test_a_deadlock_costs_a_retry_not_an_error(db: Database) -> None:
    meeting = threading.Barrier(2)

    def work(first: str, second: str) -> Any:
        met = False

        def run(conn: Connection) -> None:
            nonlocal met
            change = text("UPDATE prices SET rate_halala = rate_halala + 1 WHERE job_type = :name")
            conn.execute(change, {"name": first})
            if not met:
                met = True
                meeting.wait(10)
            conn.execute(change, {"name": second})

        return run

    await asyncio.gather(db.write(work("training", "rendering")), db.write(work("rendering", "training")))
    query = text("SELECT rate_halala FROM prices WHERE job_type IN ('training', 'rendering') ORDER BY 1")
    assert await db.read(lambda conn: list(conn.execute(query).scalars())) == [22, 27]


def test_a_server_that_vanished_is_noticed_soon_unless_the_url_says_otherwise() -> None:
    chosen = patience(make_url("postgresql://dc1@db/dc1?tcp_user_timeout=60000"))
    assert "tcp_user_timeout" not in chosen
    assert chosen["keepalives_idle"] + chosen["keepalives_interval"] * chosen["keepalives_count"] <= 15
    assert patience(make_url("postgresql://dc1@db/dc1"))["tcp_user_timeout"] <= 15_000


@on_sqlite
@pytest.mark.parametrize(("pages_left", "fewest"), [(0, 0), (200, 40)])
async def test_a_full_disk_leaves_no_half_and_no_lie(db: Database, pages_left: int, fewest: int) -> None:
    """Nor does what is too large for the disk keep its neighbours from what still fits."""
    market = Market(db)
    renter = await market.renter(credit=0)

    def fill(conn: Connection) -> None:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + pages_left}")
        conn.exec_driver_sql("INSERT INTO audit_entries VALUES (1, 0, '', '', zeroblob(10000000), 0, NULL, '')")

    units: list[Awaitable[object]] = [market.do(wallets.top_up, renter, 1, f"t{number}", NOW) for number in range(40)]
    units.insert(20, market.db.write(fill))
    outcomes = await asyncio.gather(*units, return_exceptions=True)
    assert isinstance(outcomes[20], DBAPIError)
    await db.write(lambda conn: conn.exec_driver_sql("PRAGMA max_page_count = 1000000"))
    paid = sum(not isinstance(outcome, BaseException) for outcome in outcomes)
    assert paid >= fewest
    assert await market.wallet(renter) == (paid, 0), "a unit is paid exactly if its caller was told so"
    await market.check_books()


@on_sqlite
async def test_what_was_undone_in_the_midst_does_not_pass_for_stored(db: Database) -> None:
    """By itself or beside others: a unit may have gone on after what it took for a failure of one statement."""

    def lose(conn: Connection) -> str:
        # As SQLite does itself on a full disk.
        driver_of(conn).execute("ROLLBACK")
        return "stored"

    for beside in (0, 3):
        units = [db.write(lose), *(db.write(lambda conn: 1) for _ in range(beside))]
        outcomes = await asyncio.gather(*units, return_exceptions=True)
        assert isinstance(outcomes[0], Exception)
        assert await db.write(lambda conn: 1) == 1


@on_sqlite
async def test_a_commit_that_fails_is_told_to_everyone_in_it(db: Database) -> None:
    def break_commit(conn: Connection) -> wallets.WalletChange:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        conn.exec_driver_sql("INSERT INTO job_log_heads VALUES (999, 0)")
        return wallets.WalletChange(0, 0, 0)

    market = Market(db)
    renter = await market.renter(credit=0)
    units = [db.write(break_commit), *(market.do(wallets.top_up, renter, 1, f"t{n}", NOW) for n in range(5))]
    outcomes = await asyncio.gather(*units, return_exceptions=True)
    paid = sum(not isinstance(outcome, BaseException) for outcome in outcomes[1:])
    assert isinstance(outcomes[0], DBAPIError)
    assert await market.wallet(renter) == (paid, 0)
    await market.do(wallets.top_up, renter, 1, "later", NOW)
    await market.check_books()


async def test_a_schema_that_became_another_version_s_is_said_once_it_does_not_fit(url: str, db: Database) -> None:
    """It was an error of ours, with health saying that all is well."""
    market = Market(db)
    renter = await market.renter(credit=100)
    operator = create_engine(normalised(url), poolclass=NullPool)

    def change(*statements: str) -> None:
        with operator.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    with operator.begin() as connection:
        ours = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    # Beside a newer server one goes on for as long as it can.
    change("ALTER TABLE renters ADD COLUMN another INTEGER", "UPDATE alembic_version SET version_num = '9999'")
    assert await market.wallet(renter) == (100, 0)
    assert await db.why_unwritable(5) is None

    change("ALTER TABLE accounts RENAME COLUMN balance_halala TO money_halala")
    for call in (market.wallet(renter), market.do(wallets.top_up, renter, 100, "t", NOW)):
        with pytest.raises(UnwritableError) as refused:
            await call
        assert refused.value.reason == UnwritableReason.SCHEMA_CHANGED
    assert await db.why_unwritable(5) == UnwritableReason.SCHEMA_CHANGED

    change(
        "ALTER TABLE accounts RENAME COLUMN money_halala TO balance_halala",
        f"UPDATE alembic_version SET version_num = '{ours}'",
    )
    assert await db.why_unwritable(5) is None
    assert await market.wallet(renter) == (100, 0)
    with pytest.raises(DBAPIError):
        await db.read(lambda conn: conn.execute(text("SELECT nothing FROM renters")))


@on_sqlite
async def test_waits_behind_a_commit_that_hangs_in_its_disk_end(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lasted until the edge gave them up with 504. What had not begun by then never begins."""
    monkeypatch.setattr(writer, "GIVEN_UP_AFTER_SECONDS", 0.3)
    market = Market(db)
    renter = await market.renter(credit=0)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(_: Connection) -> None:
        hangs.set()
        goes_on.wait(20)

    event.listen(db._backend._write_engine, "commit", hang)  # type: ignore[attr-defined]
    try:
        begun = asyncio.create_task(market.do(wallets.top_up, renter, 100, "begun", NOW))
        await asyncio.to_thread(hangs.wait, 20)
        queued = asyncio.create_task(market.do(wallets.top_up, renter, 1, "queued", NOW))
        with pytest.raises(UnwritableError) as refused:
            await asyncio.wait_for(queued, 10)
        assert refused.value.reason == UnwritableReason.NO_ANSWER
        # Memory follows what is committed, so that is waited for.
        assert not begun.done()
    finally:
        goes_on.set()
    await asyncio.wait_for(begun, 10)
    monkeypatch.undo()
    for _ in range(100):
        if await db.why_unwritable(5) is None:
            break
        await asyncio.sleep(0.1)
    await market.do(wallets.top_up, renter, 10, "later", NOW)
    assert await market.wallet(renter) == (110, 0)
