"""A database that takes no writes: no room is left, or somebody else holds it."""

import shutil
import sqlite3
import time
from pathlib import Path

from dc1.storage.engine.database import Connection
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Rest
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused

LARGE = {"params": {"prompt": "x" * 200_000}}


def most_pages(conn: Connection, pages: int) -> None:
    # In the writer's own connection, which the limit is for; it is never below what there is.
    conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def limit_pages(market: LocalMarket, pages: int) -> None:
    # Past the door, as an operator would make room: while writes are refused it lets nothing through.
    market.edge.loop.run(market.server.database._backend.write(lambda conn: most_pages(conn, pages)))


def test_a_full_disk_is_said_refused_early_and_recovered_from(market: LocalMarket, rest: Rest, renter: Renter) -> None:
    limit_pages(market, 1)
    refused(renter.try_submit(**LARGE), 503)
    eventually(lambda: rest.get("/health").status_code == 503, "the health saying so")
    said = rest.get("/health").json()
    assert (said["error"], said["status"], said["reason"]) == ("Database cannot be written", "degraded", "disk_full")
    error = refused(renter.try_submit(), 503)
    assert (error["error"], error["reason"]) == ("Database cannot be written", "disk_full")
    assert error["retryAfterSeconds"] == 10
    assert renter.balance() == 1000
    limit_pages(market, 1_000_000)
    # Nothing is asked meanwhile: it has to find out by itself.
    time.sleep(1.5)
    renter.submit(**LARGE)
    assert answered(rest.get("/health"))["db"] == "ok"


def test_a_database_that_is_removed_stores_nothing_until_it_is_back(
    market: LocalMarket, rest: Rest, renter: Renter
) -> None:
    """Its file is open, and takes all that is written to it; with the server everything would be gone."""
    file = Path(str(market.server.database.url.database))
    aside = file.rename(file.with_suffix(".aside"))
    refused(renter.try_submit(), 503, "Database cannot be written", reason="file_gone")
    eventually(lambda: rest.get("/health").status_code == 503, "the health saying so")
    refused(rest.get("/health"), 503, reason="file_gone")
    # What was stored is read from what is still open; nobody opens anew what is not there.
    read = renter.get("/renters/balance")
    assert read.status_code == 503 or answered(read)["balance_halala"] == 1000
    assert not file.exists()
    # Another file in its place is not the one, either.
    shutil.copy(aside, file)
    refused(renter.try_submit(), 503, reason="file_gone")
    aside.rename(file)
    eventually(lambda: rest.get("/health").status_code == 200, "the service being healthy again", 15)
    renter.submit()


def test_a_locked_file_is_said_before_anybody_writes(market: LocalMarket, rest: Rest, renter: Renter) -> None:
    other = sqlite3.connect(str(market.server.database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        # What was found at the start counts for a second.
        time.sleep(1)
        begun = time.monotonic()
        said = refused(rest.get("/health"), 503)
        assert time.monotonic() - begun < 3
        assert said["reason"] == "no_answer"
        eventually(lambda: rest.get("/health").json().get("reason") == "locked", "the lock being named", 20)
        begun = time.monotonic()
        assert refused(renter.try_submit(), 503)["reason"] == "locked"
        assert time.monotonic() - begun < 1
    finally:
        other.execute("ROLLBACK")
        other.close()
    eventually(lambda: rest.get("/health").status_code == 200, "the service being healthy again", 15)
    renter.submit()
