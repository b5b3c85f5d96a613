"""What is charged, and who gets it, when runs end well, late, twice or never (contract 7, vectors 52 to 57)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show

LONG: Json = {**J3, "duration_minutes": 20}
LOST_SECONDS = 606


def bill(actual: int, provider: int, platform: int, refunded: int) -> Json:
    return {
        "actual_cost_halala": actual,
        "provider_earned_halala": provider,
        "dc1_fee_halala": platform,
        "refunded_halala": refunded,
    }


def test_a_result_without_a_report_is_billed_by_the_servers_clock(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 7, vector 52."""
    renter.submit()
    provider.next()
    market.advance(3.2)
    answer = provider.result(1)
    assert show(answer["billing"], *bill(1, 1, 0, 44)) == bill(1, 1, 0, 44)
    assert renter.balance() == 999


def test_a_daemon_never_claims_more_than_the_server_saw(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 7, vector 53."""
    renter.submit()
    provider.next()
    market.advance(59.5)
    answer = provider.result(1, duration_seconds=95)
    assert answer["billing"] == {**bill(15, 12, 3, 30), "used_seconds": 60}


def test_a_silent_providers_job_goes_to_another_and_is_paid_once(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 7, vector 54."""
    assert renter.submit(LONG)["cost_halala"] == 300
    assert provider.next()["attempt_number"] == 1
    market.advance(LOST_SECONDS, silent=[provider])
    job = eventually(lambda: _if(renter.job(1), "queued"), "the job coming back")
    assert job["retry_count"] == 1
    assert renter.balance() == 700

    other = market.add_provider()
    assert market.next_job(other)["attempt_number"] == 2
    refused(
        provider.try_result(1, result={"type": "text", "response": "late"}, attempt_number=1),
        409,
        "Attempt superseded",
        code="LEASE_SUPERSEDED",
        attempt_number=2,
    )
    settled = other.result(1, attempt_number=2)
    assert show(settled["job"], "status", "provider_id", "attempt_number") == {
        "status": "completed",
        "provider_id": other.id,
        "attempt_number": 2,
    }
    refused(
        provider.try_result(1, error="late", attempt_number=1),
        409,
        "Job already settled",
        code="JOB_SETTLED",
        current_status="completed",
        job_id=settled["job"]["job_id"],
    )
    assert provider.earnings()["total_earned_halala"] == 0


def test_a_job_lost_three_times_fails_and_is_refunded(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 7, vector 55."""
    renter.submit(LONG)
    for attempt in (1, 2, 3):
        provider.heartbeat()
        assert market.next_job(provider)["attempt_number"] == attempt
        market.advance(LOST_SECONDS, silent=[provider])
        eventually(lambda: renter.job(1)["status"] != "running", "the loss being noticed")
    assert show(renter.job(1), "status", "error_category", "retry_count") == {
        "status": "failed",
        "error_category": "provider_disconnect",
        "retry_count": 2,
    }
    assert renter.balance() == 1000


def test_a_transient_failure_is_tried_again(renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 56."""
    job = renter.submit()
    provider.next()
    answer = answered(provider.try_result(1, error="pull timeout", transient=True))
    assert show(answer, "success", "retry", "attempt", "max_retries", "job_id") == {
        "success": False,
        "retry": True,
        "attempt": 1,
        "max_retries": 2,
        "job_id": job["job_id"],
    }
    assert renter.job(1)["status"] in ("queued", "pending")
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 955, "held_halala": 45}


def test_a_job_nobody_takes_fails_for_nothing(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 57."""
    market.advance(601, silent=[provider])
    renter.submit()
    market.advance(1806, silent=[provider])
    job = eventually(lambda: _if(renter.job(1), "failed"), "the queue deadline")
    assert show(job, "error", "error_category", "refunded_halala") == {
        "error": "No provider became available in time",
        "error_category": "queue_timeout",
        "refunded_halala": 45,
    }
    assert renter.balance() == 1000


def test_a_run_past_its_deadline_is_charged_for_its_time(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 7, vector 57."""
    renter.submit()
    provider.next()
    provider.progress(1, "generating")
    market.advance(186)
    job = eventually(lambda: _if(renter.job(1), "failed"), "the run deadline")
    assert show(job, "error", "error_category") == {"error": "Job timed out", "error_category": "timeout"}
    assert show(job, *bill(45, 34, 11, 0)) == bill(45, 34, 11, 0)
    assert renter.balance() == 955
    assert provider.earnings()["promo_earnings_halala"] == 34


@pytest.mark.parametrize("loading", [False, True])
def test_a_daemon_that_shows_no_work_is_not_paid_for_it(
    market: LocalMarket, renter: Renter, provider: PollDaemon, loading: bool
) -> None:
    """Contract 7, vector 57: it goes to another provider, and is refunded in full when nobody works on it."""
    renter.submit()
    provider.next()
    if loading:
        answered(provider.progress(1, "pulling"))
        answered(provider.progress(1, "loading_model"))
    market.advance(186)
    job = eventually(lambda: _if(renter.job(1), "queued"), "the run deadline")
    assert show(job, "retry_count", "retry_reason") == {
        "retry_count": 1,
        "retry_reason": "The provider showed no work until the deadline",
    }
    assert provider.ask()["job"] is None
    other = market.add_provider()
    assert other.next()["id"] == 1
    market.advance(186)
    # Not to the one that idled last, and nobody else is there.
    assert eventually(lambda: provider.ask()["job"], "the run deadline")["id"] == 1
    market.advance(186)
    job = eventually(lambda: _if(renter.job(1), "failed"), "the last run deadline")
    assert show(job, "error", "error_category") == {
        "error": "The provider showed no work until the deadline",
        "error_category": "timeout",
    }
    assert show(job, *bill(0, 0, 0, 45)) == bill(0, 0, 0, 45)
    assert renter.balance() == 1000
    assert provider.earnings()["available_halala"] == 0


def test_a_log_line_is_a_sign_of_work(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    provider.logs(1, ["epoch 1"])
    market.advance(186)
    job = eventually(lambda: _if(renter.job(1), "failed"), "the run deadline")
    assert show(job, *bill(45, 34, 11, 0)) == bill(45, 34, 11, 0)


def test_a_polling_daemon_that_never_asks_keeps_nobody_waiting_for_ever(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 4.2: the queue deadline covers pending jobs."""
    assert renter.submit()["status"] == "pending"
    market.advance(1806)
    job = eventually(lambda: _if(renter.job(1), "failed"), "the queue deadline")
    assert job["error_category"] == "queue_timeout"
    assert renter.balance() == 1000
    assert provider.ask()["job"] is None


def test_a_lost_job_keeps_its_place_and_its_deadline_starts_anew(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit(LONG)
    provider.next()
    market.advance(LOST_SECONDS, silent=[provider])
    eventually(lambda: _if(renter.job(1), "queued"), "the job coming back")
    eventually(lambda: renter.job(1)["queue_position"] == 1, "its place in the queue")
    market.advance(1790, silent=[provider])
    assert renter.job(1)["status"] == "queued"
    market.advance(20, silent=[provider])
    eventually(lambda: _if(renter.job(1), "failed"), "the queue deadline")


def test_cancelling_a_run_at_once_charges_one_second(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    answer = answered(renter.cancel(1))
    assert show(answer, "charged_halala", "refunded_halala") == {"charged_halala": 1, "refunded_halala": 44}
    assert answer["job"]["used_seconds"] == 1
    refused(provider.try_result(1, error="late"), 409, "Job already settled", current_status="cancelled")


def test_a_result_needs_something_in_it(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    refused(provider.try_result(1), 400, "result or error is required")
    for seconds in (-1, 1801):
        refused(
            provider.try_result(1, result="x", duration_seconds=seconds),
            400,
            "duration_seconds must be a finite number between 0 and 1800",
        )
    assert renter.job(1)["status"] == "running"


def test_only_the_holder_may_speak_of_a_job(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    stranger = market.add_provider()
    renter.submit(provider_id=1)
    provider.next()
    refused(stranger.try_result(1, result="mine"), 403, "Forbidden")
    refused(stranger.progress(1, "generating"), 403, "Forbidden")
    refused(stranger.post("/jobs/1/logs", {"line": "x"}), 403, "Forbidden")
    refused(stranger.get("/jobs/1"), 403, "Forbidden")
    assert renter.job(1)["status"] == "running"


def test_a_job_that_waits_has_no_progress(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    refused(provider.progress(1, "generating"), 409, "Job is not running")
    refused(provider.try_result(1, result="x"), 409)
    assert renter.job(1)["status"] == "pending"


def test_an_admin_may_settle_and_cancel(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    answer = answered(market.admin.post("/jobs/1/result", {"error": "stopped by hand"}))
    assert answer["job"]["status"] == "failed"
    renter.submit()
    assert answered(market.admin.post("/jobs/2/cancel"))["refunded_halala"] == 45
    assert renter.balance() == 1000


def test_delete_cancels_too(renter: Renter, market: LocalMarket) -> None:
    job = renter.submit()
    answer = answered(market.rest.rest("DELETE", f"/jobs/{job['job_id']}", key=renter.key))
    assert answer["job"]["status"] == "cancelled"


def test_two_gpus_run_two_jobs(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    provider.heartbeat({"gpu_status": {"gpu_count": 2, "daemon_version": "3.3.0"}})
    assert [renter.submit()["status"] for _ in range(3)] == ["pending", "pending", "queued"]
    assert {market.next_job(provider)["id"] for _ in range(2)} == {1, 2}
    assert provider.ask()["admission"]["reason_code"] == "PROVIDER_BUSY"


def _if(job: Json, status: str) -> Json:
    """The job once it has this status, something false before."""
    return job if job["status"] == status else {}
