"""Jobs that ended so long ago that only their bills are kept."""

from dc1.domain.base.clock import DAY_MS
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused

KEPT_SECONDS = 90 * DAY_MS / 1000
GONE = "The job ended long ago, and only its bill is kept"


def test_what_a_job_was_about_is_kept_for_90_days_and_its_bill_for_ever(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    for report in ({"result": {"type": "text", "response": "secret"}}, {"error": "CUDA out of memory"}):
        job_id = renter.submit(params={"prompt": "secret"})["id"]
        provider.next()
        provider.logs(job_id, ["secret"])
        answered(provider.try_result(job_id, **report))
    bill = answered(renter.get("/jobs/1/invoice"))
    market.clock.advance(KEPT_SECONDS + 1)
    market.restart()
    erased_at = market.now()
    eventually(lambda: "documents_erased_at" in renter.job(2), "the erasure")

    for job_id in (1, 2):
        job = renter.job(job_id)
        assert job["documents_erased_at"] == erased_at
        assert (job["params"], job["container_spec"]["image_type"]) == (None, "llm")
        log = answered(renter.get(f"/jobs/{job_id}/logs"))
        assert (log["logs"], log["total_lines"], log["documents_erased_at"]) == ([], 0, erased_at)
    output = answered(renter.get("/jobs/1/output"), 410)
    assert (output["status"], output["error"], output["result"]) == ("completed", GONE, None)
    assert output["documents_erased_at"] == erased_at
    assert output["billing"]["actual_cost_halala"] == bill["actual_cost_halala"] > 0
    assert answered(renter.get("/jobs/1/output/png"), 410)["error"] == GONE
    assert answered(renter.get("/jobs/2/output"), 410)["error"] != GONE
    assert "secret" not in renter.get("/jobs/1").text + renter.get("/renters/me/export").text
    refused(renter.post("/jobs/2/retry"), 410, GONE)
    assert answered(renter.get("/jobs/1/invoice")) == bill
