"""The clock of the database that servers share is set two days from where it was."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from dc1.domain.base.clock import SystemClock
from dc1.testing.edge import Edge
from dc1.testing.postgres import PostgresServer
from tests.replicas.pair import Pair

# Before `pg_catalog` in the search path, so that whoever asks for the time is told this one.
_CLOCK = """
CREATE TABLE clock_step (step interval NOT NULL);
INSERT INTO clock_step VALUES ('0');
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + step FROM public.clock_step';
"""


class SteppedDatabase:
    def __init__(self, url: str) -> None:
        self.url = url
        address = make_url(url).set(drivername="postgresql")
        self._address = address.render_as_string(hide_password=False)
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(_CLOCK)
            connection.execute(f'ALTER DATABASE "{address.database}" SET search_path = public, pg_catalog')

    def step(self, interval: str) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute("UPDATE clock_step SET step = %s", (interval,))


@pytest.fixture
def database(postgres_server: PostgresServer) -> SteppedDatabase:
    return SteppedDatabase(postgres_server.create())


@pytest.fixture
def stepped_pair(edges: tuple[Edge, Edge], database: SteppedDatabase, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(edges, tmp_path, database.url, [SystemClock(), SystemClock()], stream_grace_seconds=2)
    yield pair
    pair.close()


@pytest.mark.parametrize("interval", ["2 days", "-2 days"])
def test_a_step_of_the_database_s_clock_ends_nothing(
    stepped_pair: Pair, database: SteppedDatabase, interval: str
) -> None:
    pair = stepped_pair
    renter, account = pair.add_renter(), pair.add_provider(pair.a)
    daemon = pair.connect(account, pair.a)
    pair.await_online(account)
    job = renter.submit()
    daemon.accept(daemon.expect("offer"))

    database.step(interval)
    # Renewals are every second, and the grace is two.
    for _ in range(8):
        time.sleep(0.5)
        assert renter.job(job["id"])["status"] == "running"
    assert pair.a.knows_another()
    assert pair.b.knows_another()

    # What opens after a step back is still the newer stream: the older one is told that it was replaced.
    pair.connect(account, pair.b)
    assert daemon.expect("reconnect") is not None
    assert renter.job(job["id"])["status"] in ("running", "queued", "pending")
