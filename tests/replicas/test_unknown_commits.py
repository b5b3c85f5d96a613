"""What is told of a write whose COMMIT got lost with the database: that nobody knows, and no untruth."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dc1.domain.base.clock import SystemClock
from dc1.storage.engine import postgres
from dc1.testing.accounts import Registrar
from dc1.testing.edge import Edge
from dc1.testing.poll_daemon import MODEL, REPORT
from dc1.testing.postgres import PostgresServer
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused
from tests.replicas.pair import Replica
from tests.storage.engine.postgres_proxy import SOCKET_NAME, CuttingProxy


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(Path(str(make_url(postgres_server.create("unknown")).query["host"])) / SOCKET_NAME)
    yield proxy
    proxy.close()
    postgres_server.drop("unknown")


@pytest.fixture
def replica(edge: Edge, proxy: CuttingProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica]:
    # A server that is away for longer is asked about nothing any more.
    monkeypatch.setattr(postgres, "GIVE_UP_AFTER_SECONDS", 1.0)
    replica = Replica(edge, tmp_path, f"host={proxy.host} user=postgres dbname=unknown", SystemClock())
    yield replica
    proxy.reopen()
    replica.close()


@pytest.mark.parametrize("cut", ["after", "before"])
def test_a_commit_that_nobody_can_be_asked_about_is_told_as_unknown(
    replica: Replica, proxy: CuttingProxy, cut: str
) -> None:
    renter = Registrar().renter(replica.rest)
    headers = {"Idempotency-Key": "once"}
    proxy.of, proxy.for_good, proxy.cut = b"INSERT INTO idempotent_answers", True, cut
    lost = renter.post("/renters/topup", {"amount_halala": 500}, headers=headers)
    assert proxy.cuts == 1
    said = refused(lost, 503)
    assert (said["error"], said["reason"]) == ("It is not known whether this was done", "outcome_unknown")
    assert lost.headers["retry-after"] == "10"
    assert said["retryAfterSeconds"] == 10
    proxy.reopen()
    eventually(lambda: replica.rest.get("/health").status_code == 200, "the database being back", 20)
    again = renter.post("/renters/topup", {"amount_halala": 500}, headers=headers)
    assert answered(again)["new_balance_halala"] == renter.balance() == 1500


def test_a_call_whose_outcome_nobody_knew_holds_nothing(replica: Replica, proxy: CuttingProxy) -> None:
    """Its caller was told to ask again, and must not be charged for both."""
    renter = Registrar().renter(replica.rest)
    provider = Registrar().approved_provider(replica.rest, replica.admin)
    daemon = StreamDaemon(replica.target, provider.key, REPORT)
    daemon.hello()
    proxy.of, proxy.for_good, proxy.cut = b"INSERT INTO jobs", True, "after"
    question = {"model": MODEL, "messages": [{"role": "user", "content": "tide?"}], "max_tokens": 50}
    assert renter.post("/v1/chat/completions", question).status_code == 503
    assert proxy.cuts == 1
    proxy.reopen()
    eventually(lambda: replica.rest.get("/health").status_code == 200, "the database being back", 20)
    (call,) = eventually(lambda: answered(renter.get("/jobs"))["jobs"], "the call that was stored")
    eventually(lambda: renter.job(call["id"])["status"] == "cancelled", "the call being called off", 20)
    assert (renter.balance(), renter.wallet()["held_halala"]) == (1000, 0)
    daemon.close()
