"""A PostgreSQL whose every process stands still: it takes connections and what it is sent, and answers nobody."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dc1.domain.base.clock import SystemClock
from dc1.storage.engine import postgres, watchdog
from dc1.testing.accounts import Registrar
from dc1.testing.edge import Edge
from dc1.testing.postgres import PostgresServer
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused
from tests.replicas.pair import Replica
from tests.support.signals import stopped


@pytest.fixture
def replica(
    edge: Edge, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Replica]:
    """A server that loses its patience in seconds."""
    monkeypatch.setattr(watchdog, "SUSPECTED_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(postgres, "ANSWERS_WITHIN_SECONDS", 2.0)
    monkeypatch.setattr(postgres, "GIVE_UP_AFTER_SECONDS", 1.0)
    monkeypatch.setitem(postgres._PATIENCE, "connect_timeout", 2)
    replica = Replica(edge, tmp_path, postgres_server.create(), SystemClock())
    yield replica
    replica.close()


def test_waits_for_a_database_that_stands_still_end_and_it_goes_on_when_that_does(
    replica: Replica, postgres_server: PostgresServer
) -> None:
    renter = Registrar().renter(replica.rest)
    answered(renter.post("/renters/topup", {"amount_halala": 500}))
    with stopped(postgres_server.pids()), ThreadPoolExecutor(20) as callers:
        begun = time.monotonic()
        # More than there are connections: the rest waits for those that wait.
        calls = [callers.submit(renter.get, "/renters/balance") for _ in range(16)]
        writes = [callers.submit(renter.post, "/renters/topup", {"amount_halala": 1}) for _ in range(4)]
        for call in (*calls, *writes):
            refused(call.result(50), 503)
        assert time.monotonic() - begun < 20
        assert refused(replica.rest.get("/health"), 503)["status"] == "degraded"
    eventually(lambda: replica.rest.get("/health").status_code == 200, "the service being healthy again", 20)
    balance = renter.balance()
    # What became of a COMMIT that it had read and not answered was told as unknown.
    assert 1500 <= balance <= 1504
    answered(renter.post("/renters/topup", {"amount_halala": 100}))
    assert renter.balance() == balance + 100
