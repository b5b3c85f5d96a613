"""One renter, one provider, five jobs; each step continues the one above (contract 7, vectors 41 to 51)."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show

Step: TypeAlias = Callable[[LocalMarket, Renter, PollDaemon], None]

TRAINING: Json = {"job_type": "training", "duration_minutes": 5}
SERVING: Json = {
    "job_type": "vllm_serve",
    "duration_minutes": 60,
    "max_duration_seconds": 3600,
    "params": {"model": MODEL},
}
SETTLED: Json = {
    "actual_cost_halala": 24,
    "provider_earned_halala": 18,
    "dc1_fee_halala": 6,
    "refunded_halala": 21,
    "used_seconds": 95,
}
OK_IN_95: Json = {"result": {"type": "text", "response": "ok"}, "duration_seconds": 95}


def the_second_job_waits_for_the_slot(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 41."""
    assert renter.submit(provider_id=1)["status"] == "pending"
    second = renter.submit(provider_id=1)
    assert show(second, "status", "queue_position") == {"status": "queued", "queue_position": 1}
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 910, "held_halala": 90}
    output = answered(renter.get("/jobs/1/output"), 202)
    assert show(output, "status", "cost_halala") == {"status": "pending", "cost_halala": 45}


def a_poll_starts_the_run(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 42."""
    answer = provider.ask()
    job = answer["job"]
    assert show(job, "id", "attempt_number") == {"id": 1, "attempt_number": 1}
    assert show(answer["admission"], "accepted", "reason_code") == {"accepted": True, "reason_code": "ADMISSION_OK"}
    assert job["started_at"] == market.now()
    assert job["timeout_at"] == market.now(180)
    busy = provider.ask()
    assert busy["job"] is None
    assert show(busy["admission"], "accepted", "reason_code") == {"accepted": False, "reason_code": "PROVIDER_BUSY"}


def a_phase_is_one_of_six(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 43."""
    assert answered(provider.progress(1, "loading_model"))["job_status"] == "running"
    text = "Invalid phase. Allowed: pulling, downloading_model, installing_deps, loading_model, generating, formatting"
    refused(provider.progress(1, "flying"), 400, text, code="INVALID_ENUM")
    assert renter.job(1)["progress_phase"] == "loading_model"


def the_result_settles_by_the_time_used(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 44."""
    market.advance(95)
    answer = answered(provider.try_result(1, **OK_IN_95))
    assert answer["success"] is True
    assert answer["job"]["status"] == "completed"
    assert answer["billing"] == SETTLED
    assert answer["next_job_promoted"] is True
    assert renter.job(2)["status"] == "pending"


def a_result_counts_once(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 45."""
    refused(
        provider.try_result(1, **OK_IN_95),
        409,
        "Job already settled",
        code="JOB_SETTLED",
        current_status="completed",
    )
    assert show(renter.wallet(), "balance_halala", "held_halala", "total_spent_halala") == {
        "balance_halala": 931,
        "held_halala": 45,
        "total_spent_halala": 24,
    }
    output = answered(renter.get("/jobs/1/output"))
    assert output["billing"] == {"actual_cost_halala": 24, "actual_cost_sar": 0.24}
    assert show(output, "type", "response", "output", "status") == {
        "type": "text",
        "response": "ok",
        "output": "ok",
        "status": "completed",
    }


def a_waiting_job_is_refunded_in_full(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 46."""
    answer = answered(renter.cancel(2))
    assert show(answer, "success", "refunded_halala", "charged_halala") == {
        "success": True,
        "refunded_halala": 45,
        "charged_halala": 0,
    }
    assert renter.balance() == 976
    refused(renter.cancel(2), 400, "Cannot cancel job with status: cancelled")
    retry = renter.post("/jobs/2/retry")
    refused(retry, 400, "Only failed jobs can be retried", current_status="cancelled")


def a_failed_run_costs_nothing(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 47."""
    job = renter.submit(TRAINING)
    assert show(job, "id", "cost_halala") == {"id": 3, "cost_halala": 125}
    assert renter.balance() == 851
    assert market.next_job(provider)["id"] == 3
    answer = answered(provider.try_result(3, error="CUDA out of memory"))
    assert answer["job"]["status"] == "failed"
    assert answer["billing"]["refunded_halala"] == 125
    assert renter.balance() == 976
    output = answered(renter.get("/jobs/3/output"), 410)
    assert show(output, "status", "error", "refunded", "refunded_halala") == {
        "status": "failed",
        "error": "CUDA out of memory",
        "refunded": True,
        "refunded_halala": 125,
    }


def a_failed_job_is_retried_as_a_new_one(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 48."""
    refused(renter.cancel(3), 400, "Cannot cancel job with status: failed")
    job = answered(renter.post("/jobs/3/retry"), 201)["job"]
    assert show(job, "id", "retried_from_job_id", "cost_halala", "job_type") == {
        "id": 4,
        "retried_from_job_id": 3,
        "cost_halala": 125,
        "job_type": "training",
    }
    assert renter.balance() == 851
    answered(renter.cancel(4))
    assert renter.balance() == 976


def the_quote_is_prepaid(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 49."""
    refused(
        renter.try_submit(SERVING),
        402,
        balance_halala=976,
        required_halala=1200,
        shortfall_halala=224,
    )
    assert renter.top_up(224)["new_balance_halala"] == 1200
    job = renter.submit(SERVING)
    assert show(job, "id", "cost_halala") == {"id": 5, "cost_halala": 1200}
    assert renter.balance() == 0


def cancelling_charges_the_time_used(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 50."""
    before = (provider.earnings()["total_earned_halala"], market.admin.finance()["platform_halala"])
    assert market.next_job(provider)["id"] == 5
    market.advance(1801)
    answer = answered(renter.cancel(5))
    assert show(answer, "charged_halala", "refunded_halala") == {"charged_halala": 601, "refunded_halala": 599}
    assert renter.balance() == 599
    after = (provider.earnings()["total_earned_halala"], market.admin.finance()["platform_halala"])
    assert (after[0] - before[0], after[1] - before[1]) == (451, 150)


def the_books_add_up(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 51."""
    assert show(provider.earnings(), "total_earned_halala", "available_halala", "available_sar") == {
        "total_earned_halala": 469,
        "available_halala": 469,
        "available_sar": 4.69,
    }
    stats = market.admin.stats()
    assert show(stats, "total_jobs", "completed_jobs", "failed_jobs", "active_jobs") == {
        "total_jobs": 5,
        "completed_jobs": 1,
        "failed_jobs": 1,
        "active_jobs": 0,
    }
    assert show(stats, "total_revenue_halala", "total_dc1_fees_halala", "total_renter_balance_halala") == {
        "total_revenue_halala": 24,
        "total_dc1_fees_halala": 6,
        "total_renter_balance_halala": 599,
    }
    assert market.admin.finance() == {
        "wallets_halala": 599,
        "holds_halala": 0,
        "provider_earnings_halala": 469,
        "promo_earnings_halala": 0,
        "platform_halala": 156,
        "payouts_halala": 0,
        "external_halala": 1000 + 224,
    }


STORY: list[Step] = [
    the_second_job_waits_for_the_slot,
    a_poll_starts_the_run,
    a_phase_is_one_of_six,
    the_result_settles_by_the_time_used,
    a_result_counts_once,
    a_waiting_job_is_refunded_in_full,
    a_failed_run_costs_nothing,
    a_failed_job_is_retried_as_a_new_one,
    the_quote_is_prepaid,
    cancelling_charges_the_time_used,
    the_books_add_up,
]


@pytest.mark.parametrize("last", STORY, ids=lambda step: step.__name__)
def test_the_story_up_to(market: LocalMarket, renter: Renter, provider: PollDaemon, last: Step) -> None:
    for step in STORY[: STORY.index(last) + 1]:
        step(market, renter, provider)
