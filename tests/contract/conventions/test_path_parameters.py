"""What a path names is what a call acts on, whatever the query and the body say."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from tests.contract.expect import answered, show


@pytest.mark.parametrize("suffix", ["", "/output", "/logs", "/lifecycle", "/status"])
def test_a_query_names_no_other_job(renter: Renter, suffix: str) -> None:
    renter.submit()
    job_id = renter.submit()["job_id"]
    shown = renter.get(f"/jobs/2{suffix}", params={"job_id": 1}).json()
    assert job_id in (shown["job_id"] if suffix else shown["id"])


def test_only_the_job_of_the_path_is_cancelled(market: LocalMarket, renter: Renter) -> None:
    for _ in range(3):
        renter.submit()
    answered(renter.post("/jobs/1/cancel?job_id=3", {"job_id": "3"}))
    answered(market.rest.rest("DELETE", "/api/jobs/2?job_id=3", key=renter.key))
    assert [renter.job(row_id)["status"] for row_id in (1, 2, 3)] == ["cancelled", "cancelled", "queued"]


def test_the_id_of_a_path_may_be_escaped(renter: Renter) -> None:
    job_id = renter.submit()["job_id"]
    escaped = "".join(f"%{ord(letter):02x}" for letter in job_id)
    assert answered(renter.get(f"/jobs/{escaped}", params={"job_id": "x"}))["id"] == job_id


def test_a_result_ends_the_job_of_the_path(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    renter.submit()
    provider.next()
    answered(provider.post("/jobs/1/result", {"result": "x", "job_id": "2"}))
    assert renter.job(1)["status"] == "completed"
    assert renter.job(2)["status"] in ("queued", "pending")


def test_money_goes_to_whom_the_audit_trail_names(market: LocalMarket, admin: Admin, renter: Renter) -> None:
    other = market.add_renter()
    path = "/admin/renters/1/credit"
    answered(admin.post(f"{path}?renter_id=2", {"renter_id": "2", "amount_halala": 5, "reason": "x"}))
    assert (renter.balance(), other.balance()) == (1005, 1000)
    assert show(answered(admin.get("/admin/audit"))["entries"][0], "method", "path") == {"method": "POST", "path": path}
