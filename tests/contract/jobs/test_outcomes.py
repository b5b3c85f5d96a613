"""How jobs end by hand, what their attempts and invoices say, and their output as an image."""

import base64

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import lease_of
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits
from tests.contract.shapes.jobs import COMPLETED, EXECUTIONS

PNG = b"\x89PNG\r\n\x1a\n and the rest of it"
IMAGE = {"type": "image", "format": "png", "width": 8, "height": 8, "image_base64": base64.b64encode(PNG).decode()}


@pytest.fixture
def running(renter: Renter, provider: PollDaemon) -> int:
    renter.submit()
    provider.next()
    return 1


def test_a_run_is_completed_by_hand(market: LocalMarket, renter: Renter, provider: PollDaemon, running: int) -> None:
    market.advance(95)
    ended = answered(renter.post("/jobs/1/complete"))
    fits(ended, COMPLETED)
    assert ended["success"] is True
    assert show(ended["job"], "status", "used_seconds") == {"status": "completed", "used_seconds": 95}
    assert ended["billing"] == {
        "actual_cost_halala": 24,
        "provider_earned_halala": 18,
        "dc1_fee_halala": 6,
        "refunded_halala": 21,
        "used_seconds": 95,
    }
    assert renter.balance() == 976
    assert provider.earnings()["promo_earnings_halala"] == 18
    refused(renter.post("/jobs/1/complete"), 400, "Job is not running", current_status="completed")
    refused(provider.try_result(1, result="late"), 409, code="JOB_SETTLED")


def test_only_a_run_can_be_completed(market: LocalMarket, renter: Renter) -> None:
    renter.submit()
    refused(renter.post("/jobs/1/complete"), 400, "Job is not running", current_status="queued")
    refused(market.add_renter().post("/jobs/1/complete"), 403, "Forbidden")
    refused(renter.post("/jobs/9/complete"), 404, "Job not found")
    refused(market.rest.post("/jobs/1/complete"), 401, "API key required")
    assert renter.job(1)["status"] == "queued"


def test_a_daemon_on_the_stream_is_told_to_stop(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    daemon = market.connect(provider)
    for job_id, end in ((1, "complete"), (2, "fail")):
        renter.submit()
        lease = lease_of(daemon.expect("offer"))
        daemon.send(accept={"lease": lease})
        daemon.expect("start")
        answered(market.admin.post(f"/jobs/{job_id}/{end}"))
        assert daemon.expect("stop").lease == lease


def test_a_run_fails_with_a_full_refund(
    market: LocalMarket, renter: Renter, provider: PollDaemon, running: int
) -> None:
    market.advance(30)
    body = {"api_key": provider.key, "error": "CUDA out of memory", "attempt_number": 1}
    job = renter.job(1)
    assert answered(market.rest.post("/jobs/1/fail", body)) == {
        "success": True,
        "job_id": job["job_id"],
        "refunded_halala": 45,
        "status": "failed",
    }
    assert show(renter.job(1), "status", "error", "error_category") == {
        "status": "failed",
        "error": "CUDA out of memory",
        "error_category": "oom",
    }
    refused(provider.post("/jobs/1/fail", {}), 409, "Job already settled", code="JOB_SETTLED")
    assert renter.balance() == 1000


def test_who_may_fail_a_run(market: LocalMarket, renter: Renter, provider: PollDaemon, running: int) -> None:
    refused(market.add_provider().post("/jobs/1/fail", {}), 403, "Forbidden")
    refused(renter.post("/jobs/1/fail", {}), 401)
    refused(provider.post("/jobs/1/fail", {"attempt_number": 2}), 409, code="LEASE_SUPERSEDED", attempt_number=1)
    refused(provider.post("/jobs/1/fail", {"error_category": "bad luck"}), 400, code="INVALID_ENUM")
    refused(provider.post("/jobs/9/fail", {}), 404, "Job not found")
    assert renter.job(1)["status"] == "running"
    answered(market.admin.post("/jobs/1/fail", {}))
    assert renter.job(1)["error"] == "The run failed"
    renter.submit()
    refused(market.admin.post("/jobs/2/fail", {}), 409, "Job is not running")


@pytest.mark.parametrize("path", ["/jobs/1/executions", "/jobs/1/history"])
def test_the_attempts_at_a_job(market: LocalMarket, renter: Renter, provider: PollDaemon, path: str) -> None:
    job = renter.submit(duration_minutes=20)
    assert answered(renter.get(path))["executions"] == []
    provider.next()
    started_at = market.now()
    market.advance(601, silent=[provider])
    second = market.add_provider()
    market.next_job(second)
    shown = answered(renter.get(path))
    fits(shown, EXECUTIONS)
    assert show(shown, "job_id", "status", "cost_halala", "actual_cost_halala", "retry_count") == {
        "job_id": job["job_id"],
        "status": "running",
        "cost_halala": 300,
        "actual_cost_halala": None,
        "retry_count": 1,
    }
    lost, current = shown["executions"]
    assert show(lost, "attempt_number", "provider_id", "started_at", "outcome") == {
        "attempt_number": 1,
        "provider_id": provider.id,
        "started_at": started_at,
        "outcome": "lost",
    }
    assert show(current, "attempt_number", "provider_id", "ended_at", "outcome") == {
        "attempt_number": 2,
        "provider_id": second.id,
        "ended_at": None,
        "outcome": None,
    }
    answered(second.try_result(1, error="no", gpu_seconds=1))
    last = answered(market.admin.get(path))["executions"][-1]
    assert (last["outcome"], last["gpu_seconds_used"]) == ("failed", 1)
    refused(market.add_renter().get(path), 403, "Forbidden")


def test_an_invoice_of_a_settled_job(market: LocalMarket, renter: Renter, provider: PollDaemon, running: int) -> None:
    refused(renter.get("/jobs/1/invoice"), 409, "Job is not settled")
    market.advance(95)
    provider.result(1)
    job = renter.job(1)
    invoice = answered(renter.get("/jobs/1/invoice"))
    assert invoice == {
        "invoice_id": f"inv-{job['job_id']}",
        "job_id": job["job_id"],
        "renter_id": renter.id,
        "job_type": "llm_inference",
        "pricing_class": "standard",
        "rate_halala_per_minute": 15,
        "hold_rate_halala_per_minute": 15,
        "run_rate_halala_per_minute": 15,
        "quote_halala": 45,
        "used_seconds": 95,
        "actual_cost_halala": 24,
        "refunded_halala": 21,
        "issued_at": market.now(),
        "fault": None,
        "error_category": None,
        "lines": [
            {"kind": "running", "description": "Running", "seconds": 95, "tokens": None, "amount_halala": 24},
        ],
    }
    assert answered(market.admin.get("/jobs/1/invoice")) == invoice
    refused(provider.get("/jobs/1/invoice"), 401)
    refused(market.add_renter().get("/jobs/1/invoice"), 403, "Forbidden")


def test_how_a_job_stands_in_short(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit()
    first = answered(renter.get("/jobs/1/status"))
    assert first == {
        "job_id": job["job_id"],
        "status": "pending",
        "progress_phase": None,
        "tokens_generated": 0,
        "elapsed_seconds": 0,
        "estimated_cost_usd": 0.12,
        "provider_online": True,
    }
    provider.next()
    provider.progress(1, "generating")
    market.advance(95)
    assert show(answered(provider.get("/jobs/1/status")), "status", "progress_phase", "elapsed_seconds") == {
        "status": "running",
        "progress_phase": "generating",
        "elapsed_seconds": 95,
    }
    provider.result(1, completion_tokens=5)
    assert show(answered(renter.get("/jobs/1/status")), "tokens_generated", "estimated_cost_usd") == {
        "tokens_generated": 5,
        "estimated_cost_usd": 0.064,
    }
    refused(market.add_renter().get("/jobs/1/status"), 403, "Forbidden")


def test_an_image_by_accept_and_by_format(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit(job_type="image_generation")
    assert answered(renter.get("/jobs/1/output/png"), 202)["status"] == "pending"
    provider.next()
    answered(provider.try_result(1, result=IMAGE))
    for accept in ("image/png", "*/*"):
        image = renter.get("/jobs/1/output", headers={"accept": accept})
        assert (image.status_code, image.headers["content-type"], image.content) == (200, "image/png", PNG)
    shown = answered(renter.get("/jobs/1/output", headers={"accept": "application/json"}))
    assert show(shown, "job_id", "type", "format", "width", "image_bytes", "image_base64", "result_type") == {
        "job_id": job["job_id"],
        "type": "image",
        "format": "png",
        "width": 8,
        "image_bytes": len(PNG),
        "image_base64": IMAGE["image_base64"],
        "result_type": "image",
    }
    assert renter.get("/jobs/1/output/png").content == PNG
    for other in ("jpeg", "jpg", "webp", "gif"):
        refused(renter.get(f"/jobs/1/output/{other}"), 400, f"Output is not available as {other}")
    refused(market.add_renter().get("/jobs/1/output/png"), 403, "Forbidden")


def test_a_jpg_is_a_jpeg(renter: Renter, provider: PollDaemon) -> None:
    renter.submit(job_type="image_generation")
    provider.next()
    answered(provider.try_result(1, result={**IMAGE, "format": "jpg"}))
    for name in ("jpg", "jpeg"):
        image = renter.get(f"/jobs/1/output/{name}")
        assert (image.headers["content-type"], image.content) == ("image/jpeg", PNG)


def test_no_image_of_other_jobs(renter: Renter, provider: PollDaemon) -> None:
    renter.submit()
    provider.next()
    provider.result(1, "a text")
    refused(renter.get("/jobs/1/output/png"), 400, "Output is not available as png")
    renter.submit()
    answered(renter.cancel(2))
    assert answered(renter.get("/jobs/2/output/png"), 410)["refunded_halala"] == 45


def test_a_job_without_a_result_has_no_image(renter: Renter, provider: PollDaemon) -> None:
    job = renter.submit(job_type="image_generation")
    provider.next()
    answered(renter.post(f"/jobs/{job['id']}/complete"))
    nothing = renter.get("/jobs/1/output/png")
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert not {"content-type", "content-length"} & set(nothing.headers)
    refused(renter.get("/jobs/1/output/gif"), 400, "Output is not available as gif")
    assert answered(renter.get("/jobs/1/output"))["result"] is None


@pytest.mark.settings(rate_limits_enabled=True)
def test_a_job_is_retried_three_times_a_minute(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    for job_id in (1, 2):
        renter.submit(duration_minutes=1)
        provider.next()
        answered(provider.try_result(job_id, error="no"))
    for _ in range(3):
        answered(renter.post("/jobs/1/retry"), 201)
    body = refused(renter.post("/jobs/1/retry"), 429, "Rate limit exceeded")
    assert 1 <= body["retryAfterSeconds"] <= 60
    answered(renter.post("/jobs/2/retry"), 201)
    market.advance(60)
    answered(renter.post("/jobs/1/retry"), 201)


def test_a_result_takes_no_other_fields_place(renter: Renter, provider: PollDaemon, running: int) -> None:
    posing: Json = {
        "cost_halala": "free",
        "provider_name": 5,
        "billing": None,
        "refunded": True,
        "execution_time_sec": "x",
    }
    badly_typed: Json = {"tokens_generated": "many", "tokens_per_second": True, "model": 5}
    result = {"type": "text", "response": "ok", "more": [1], **posing, **badly_typed}
    answered(provider.try_result(running, result=result))
    shown = answered(renter.get(f"/jobs/{running}/output"))
    assert shown["result"] == result
    expected = {"cost_halala": 45, "tokens_generated": 0, "tokens_per_second": 0, "model": None, "more": [1]}
    assert show(shown, *expected) == expected
    assert isinstance(shown["provider_name"], str)
    assert isinstance(shown["billing"]["actual_cost_halala"], int)
    assert "refunded" not in shown
