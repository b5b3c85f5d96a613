"""A machine that an operator has emptied (contract 3.5)."""

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from tests.contract.expect import answered


def test_a_drained_provider_finishes_what_it_runs_and_is_given_no_more(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    running, waiting = renter.submit(), renter.submit()
    assert market.next_job(provider)["id"] == running["id"]
    answer = answered(admin.post("/admin/providers/1/drain"))
    assert answer == {"success": True, "provider_id": 1, "status": "paused", "jobs_held": 1}
    provider.heartbeat()
    provider.result(running["id"])
    assert renter.job(running["id"])["status"] == "completed"
    assert provider.ask()["admission"]["reason_code"] == "PROVIDER_PAUSED"
    # Its owner can neither end it nor lose a pause of its own by its end.
    answered(provider.post("/providers/pause"))
    answered(provider.post("/providers/resume"))
    market.restart()
    shown = answered(admin.get("/admin/providers/1"))["provider"]
    assert (shown["status"], shown["is_drained"], shown["is_paused"]) == ("paused", True, False)
    answered(provider.post("/providers/pause"))
    assert answered(admin.post("/admin/providers/1/undrain"))["status"] == "paused"
    answered(provider.post("/providers/resume"))
    provider.heartbeat()
    assert market.next_job(provider)["id"] == waiting["id"]
