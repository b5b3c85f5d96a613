"""Whose fault it was, and what follows: for the bill, for the provider's score and for the job (contract 4.2)."""

from typing import Any

import pytest

from dc1.domain.jobs.log_notices import NO_NETWORK
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, refused, show

EXIT_1: Json = {"success": False, "exit_code": 1, "error": "exited with status 1"}
MONEY = ("actual_cost_halala", "provider_earned_halala", "dc1_fee_halala", "refunded_halala")


def score(market: LocalMarket, provider: PollDaemon) -> int:
    listed = answered(market.rest.get("/providers/available"))["providers"]
    found: int = next(row["reputation_score"] for row in listed if row["id"] == provider.id)
    return found


def end(provider: PollDaemon, job_id: int, **outcome: Any) -> Json:
    return answered(provider.post("/providers/job-result", {"job_id": job_id, **outcome}))


def start(renter: Renter, provider: PollDaemon, phase: str | None = "generating", **changes: Any) -> int:
    job_id: int = renter.submit(provider_id=provider.id, **changes)["id"]
    assert provider.next()["id"] == job_id
    if phase is not None:
        answered(provider.progress(job_id, phase))
    return job_id


def test_a_program_that_fails_after_its_work_is_charged_for_it(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    job_id = start(renter, provider)
    market.advance(95)
    end(provider, job_id, **EXIT_1, gpu_seconds_used=95)
    job = renter.job(job_id)
    assert show(job, "status", "fault", "error_category", *MONEY) == {
        "status": "failed",
        "fault": "renter",
        "error_category": "execution",
        "actual_cost_halala": 24,
        "provider_earned_halala": 18,
        "dc1_fee_halala": 6,
        "refunded_halala": 21,
    }
    assert provider.earnings()["total_earned_halala"] == 18
    assert renter.balance() == 976


def test_five_programs_that_fail_leave_the_providers_score(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    before = score(market, provider)
    for _ in range(5):
        job_id = start(renter, provider)
        end(provider, job_id, **EXIT_1)
    assert score(market, provider) == before


@pytest.mark.parametrize("form", ["job-result", "result", "fail", "words", "stream"])
def test_every_dialect_tells_an_exit_code(market: LocalMarket, renter: Renter, provider: PollDaemon, form: str) -> None:
    if form == "stream":
        daemon = market.connect(provider)
        job_id = renter.submit()["id"]
        lease = daemon.accept(daemon.expect("offer")).lease
        daemon.send(progress=pb.Progress(lease=lease, phase="generating"))
        daemon.fail(lease, "no", category="execution", exit_code=1)
    else:
        job_id = start(renter, provider)
        said: dict[str, tuple[str, Json]] = {
            "job-result": ("/providers/job-result", {"job_id": job_id, **EXIT_1}),
            "result": (f"/jobs/{job_id}/result", {"error": "no", "exit_code": 1}),
            "fail": (f"/jobs/{job_id}/fail", {"error": "no", "exit_code": 1}),
            "words": (f"/jobs/{job_id}/result", {"error": "Container exited with code 1: pull failed"}),
        }
        path, body = said[form]
        answered(provider.post(path, body))
    job = eventually(lambda: _ended(renter, job_id), "the end")
    assert show(job, "status", "fault", "actual_cost_halala") == {
        "status": "failed",
        "fault": "renter",
        "actual_cost_halala": 1,
    }
    execution = answered(renter.get(f"/jobs/{job_id}/executions"))["executions"][0]
    assert show(execution, "exit_code", "fault") == {"exit_code": 1, "fault": "renter"}


@pytest.mark.parametrize("phase", [None, "pulling", "loading_model"])
def test_a_provider_cannot_blame_the_renter_for_a_run_that_never_worked(
    market: LocalMarket, renter: Renter, provider: PollDaemon, phase: str | None
) -> None:
    job_id = start(renter, provider, phase)
    before = score(market, provider)
    market.advance(95)
    end(provider, job_id, **EXIT_1)
    assert show(renter.job(job_id), "status", "fault", *MONEY) == {
        "status": "failed",
        "fault": "provider",
        "actual_cost_halala": 0,
        "provider_earned_halala": 0,
        "dc1_fee_halala": 0,
        "refunded_halala": 45,
    }
    assert renter.balance() == 1000
    assert score(market, provider) < before


@pytest.mark.parametrize(("line", "fault"), [(NO_NETWORK, "provider"), ("loaded the data", "renter")])
def test_a_notice_of_the_daemon_is_not_the_program_s_work(
    market: LocalMarket, renter: Renter, provider: PollDaemon, line: str, fault: str
) -> None:
    """A daemon says it before the container is created, whatever becomes of that."""
    job_id = start(renter, provider, "loading_model")
    answered(provider.patch(f"/providers/jobs/{job_id}/logs", {"lines": [{"level": "warn", "message": line}]}))
    market.advance(95)
    end(provider, job_id, **EXIT_1)
    assert show(renter.job(job_id), "status", "fault") == {"status": "failed", "fault": fault}


def test_what_a_provider_failed_goes_to_another_one_and_never_back(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    others = [market.add_provider() for _ in range(2)]
    job_id = renter.submit()["id"]
    tried: list[int] = []
    for _ in range(3):
        holder = eventually(lambda: renter.job(job_id)["provider_id"], "a provider")
        daemon = next(item for item in (provider, *others) if item.id == holder)
        market.next_job(daemon)
        tried.append(holder)
        answer = end(daemon, job_id, success=False, error="no space left", error_category="disk")
        assert answer["status"] in (("queued", "pending") if len(tried) < 3 else ("failed",))
    assert sorted(tried) == sorted(item.id for item in (provider, *others))
    job = renter.job(job_id)
    assert show(job, "status", "fault", "error_category", "retry_count", "refunded_halala") == {
        "status": "failed",
        "fault": "provider",
        "error_category": "disk",
        "retry_count": 2,
        "refunded_halala": 45,
    }
    assert renter.balance() == 1000
    events = answered(renter.get(f"/jobs/{job_id}/lifecycle"))["events"]
    assert [event["fault"] for event in events if event["event_type"] == "job.retry.scheduled"] == ["provider"] * 2


def test_one_renter_lowers_a_score_by_one_failure_a_day(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    before = score(market, provider)
    seen = []
    for _ in range(4):
        end(provider, start(renter, provider), success=False, error="no", error_category="engine")
        seen.append(score(market, provider))
    assert seen[0] < before
    assert seen == [seen[0]] * 4
    other = market.add_renter()
    end(provider, start(other, provider), success=False, error="no", error_category="engine")
    assert score(market, provider) < seen[0]
    market.clock.advance(86_400)
    provider.heartbeat()
    faded = score(market, provider)
    end(provider, start(renter, provider), success=False, error="no", error_category="engine")
    assert score(market, provider) < faded


def test_scores_recover(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    for buyer in (renter, *(market.add_renter() for _ in range(4))):
        end(provider, start(buyer, provider), success=False, error="no", error_category="engine")
    assert score(market, provider) < 10
    # By the clock alone: nobody sends the heartbeats of a week.
    market.clock.advance(7 * 86_400)
    provider.heartbeat()
    assert score(market, provider) >= 35


def test_parameters_that_only_the_runner_refuses_are_the_renters_and_cost_what_ran(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    before = score(market, provider)
    job_id = start(renter, provider, None)
    market.advance(30)
    end(provider, job_id, success=False, error="no such sampler", error_category="invalid_params")
    assert show(renter.job(job_id), "fault", "actual_cost_halala") == {"fault": "renter", "actual_cost_halala": 0}
    assert score(market, provider) == before


def test_pulling_and_loading_are_free_and_the_bill_says_so(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    job_id = start(renter, provider, "pulling")
    market.advance(60)
    answered(provider.progress(job_id, "generating"))
    market.advance(40)
    end(provider, job_id, **EXIT_1, gpu_seconds_used=100)
    bill = answered(renter.get(f"/jobs/{job_id}/invoice"))
    assert show(bill, "fault", "error_category", "used_seconds", "actual_cost_halala") == {
        "fault": "renter",
        "error_category": "execution",
        "used_seconds": 40,
        "actual_cost_halala": 10,
    }
    assert [show(line, "kind", "seconds", "amount_halala") for line in bill["lines"]] == [
        {"kind": "preparing", "seconds": 60, "amount_halala": 0},
        {"kind": "running", "seconds": 40, "amount_halala": 10},
        {"kind": "fault", "seconds": None, "amount_halala": 0},
    ]


def test_a_job_cancelled_while_it_loads_is_free_and_one_that_works_is_not(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    for phase, logs, charged in (("loading_model", False, 0), ("loading_model", True, 15), ("generating", False, 15)):
        job_id = start(renter, provider, phase)
        if logs:
            provider.logs(job_id, ["step 1"])
        market.advance(60)
        answer = answered(renter.cancel(job_id))
        assert (answer["charged_halala"], answer["job"]["fault"]) == (charged, "renter")


def test_an_operators_cancel_charges_nothing(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    before = score(market, provider)
    job_id = start(renter, provider)
    market.advance(60)
    answered(admin.post(f"/admin/jobs/{job_id}/cancel"))
    assert show(renter.job(job_id), "status", "fault", "refunded_halala") == {
        "status": "cancelled",
        "fault": "market",
        "refunded_halala": 45,
    }
    assert score(market, provider) == before


def test_a_suspension_is_nobodys_fault(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    job_id = renter.submit()["id"]
    provider.next()
    before = score(market, provider)
    answered(admin.post(f"/admin/providers/{provider.id}/suspend"))
    assert renter.job(job_id)["status"] == "queued"
    answered(admin.post(f"/admin/providers/{provider.id}/unsuspend"))
    assert score(market, provider) == before


def test_a_timeout_that_has_not_come_is_the_providers(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """A daemon that stops at a limit of its own has not run the job."""
    job_id = start(renter, provider)
    market.advance(90)
    end(provider, job_id, success=False, error="stopped", error_category="timeout")
    assert show(renter.job(job_id), "fault", "refunded_halala") == {"fault": "provider", "refunded_halala": 45}
    job_id = start(renter, provider)
    market.advance(175)
    end(provider, job_id, success=False, error="stopped", error_category="timeout")
    assert show(renter.job(job_id), "fault", "actual_cost_halala") == {"fault": "renter", "actual_cost_halala": 44}


def _ended(renter: Renter, job_id: int) -> Json:
    job = renter.job(job_id)
    return job if job["status"] == "failed" else {}


@pytest.mark.parametrize(
    "nothing",
    [{}, {"result": ""}, {"result": {}}, {"result": " \n"}, {"result": {"type": "text", "response": ""}}],
)
def test_a_success_with_nothing_to_show_for_it_is_paid_nothing(
    market: LocalMarket, renter: Renter, provider: PollDaemon, nothing: Json
) -> None:
    before = score(market, provider)
    job_id = start(renter, provider)
    market.advance(95)
    end(provider, job_id, success=True, gpu_seconds_used=95, **nothing)
    assert show(renter.job(job_id), "status", "fault", "error_category", "refunded_halala") == {
        "status": "failed",
        "fault": "provider",
        "error_category": "no_result",
        "refunded_halala": 45,
    }
    assert provider.earnings()["total_earned_halala"] == 0
    assert score(market, provider) < before


def test_a_container_may_leave_its_result_elsewhere_if_it_was_seen_working(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    for logs, status in ((["epoch 1"], "completed"), ([], "failed")):
        job_id = start(renter, provider, None, job_type="training")
        if logs:
            provider.logs(job_id, logs)
        end(provider, job_id, success=True)
        assert renter.job(job_id)["status"] == status


@pytest.mark.parametrize("seconds", [-5, 0, 1e300])
def test_odd_seconds_charge_no_more_than_what_was_seen(
    market: LocalMarket, renter: Renter, provider: PollDaemon, seconds: float
) -> None:
    job_id = start(renter, provider)
    market.advance(60)
    end(provider, job_id, **EXIT_1, gpu_seconds_used=seconds)
    job = renter.job(job_id)
    assert job["actual_cost_halala"] == (15 if seconds > 60 else 0)
    assert job["actual_cost_halala"] + job["refunded_halala"] == 45


def test_what_comes_after_the_end_moves_nothing(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    job_id = start(renter, provider)
    market.advance(60)
    answered(renter.cancel(job_id))
    for outcome in ({"success": True, "result": "late"}, EXIT_1):
        late = provider.post("/providers/job-result", {"job_id": job_id, **outcome})
        refused(late, 409, "Job already settled", code="JOB_SETTLED")
    assert (renter.balance(), provider.earnings()["total_earned_halala"]) == (985, 12)
    refused(renter.post(f"/jobs/{job_id}/complete"), 400)


def test_a_renter_who_completes_by_hand_pays_for_what_was_seen(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    for phase, charged in (("loading_model", 0), ("generating", 15), (None, 15)):
        job_id = start(renter, provider, phase)
        market.advance(60)
        assert answered(renter.post(f"/jobs/{job_id}/complete"))["billing"]["actual_cost_halala"] == charged


def test_who_takes_a_job_and_leaves_is_paid_nothing(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    before = score(market, provider)
    job_id = start(renter, provider)
    market.advance(606, silent=[provider])
    eventually(lambda: renter.job(job_id)["status"] == "queued", "the loss being noticed")
    provider.heartbeat()
    assert provider.earnings()["total_earned_halala"] == 0
    assert score(market, provider) < before
