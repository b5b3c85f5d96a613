"""A database that has no room left."""

import pytest

from dc1.storage.engine import database
from dc1.storage.engine.database import Connection
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Rest
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused


def most_pages(conn: Connection, pages: int) -> None:
    # In the writer's own connection, which the limit is for; it is never below what there is.
    conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_said_and_recovered_from(
    market: LocalMarket, rest: Rest, renter: Renter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_DOUBT_SECONDS", 1.0)
    loop, db = market.edge.loop, market.server.database
    loop.run(db.write(lambda conn: most_pages(conn, 1)))
    body = {"params": {"prompt": "x" * 200_000}}
    error = refused(renter.try_submit(**body), 503)
    assert error["error"] == "Database cannot be written"
    assert error["retryAfterSeconds"] == 10
    assert refused(rest.get("/health"), 503)["error"] == "Database cannot be written"
    assert renter.balance() == 1000
    loop.run(db.write(lambda conn: most_pages(conn, 1_000_000)))
    renter.submit(**body)
    eventually(lambda: rest.get("/health").status_code == 200, "the service being healthy again")
    assert answered(rest.get("/health"))["db"] == "ok"
