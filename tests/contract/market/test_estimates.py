"""Contract 3.3: what a job would cost, where it could run, and what one that is queued waits for."""

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import refused, show

H100: Json = {"gpu_status": {"gpu_name": "NVIDIA H100 80GB HBM3", "gpu_vram_mib": 81_559}}


def estimate(renter: Renter, **changes: object) -> Json:
    return answered(renter.post("/jobs/estimate", {**J3, **changes}))


def test_an_estimate_says_what_a_submission_would_hold(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Vector 71."""
    dear = market.add_provider(H100)
    # It needs no balance.
    answered(market.admin.post(f"/admin/renters/{renter.id}/balance", {"amount_halala": -1000}))
    before = renter.wallet()
    assert estimate(renter, container_spec={"image_type": "llm", "gpu_count": 1}, pricing_class="economy") == {
        "success": True,
        "quote_halala": 223,
        "quote_sar": 2.23,
        "hold_rate_halala_per_minute": 74.25,
        "factors": {
            "rate_halala_per_minute": 15,
            "gpu_type": "H100",
            "gpu_factor": 5.5,
            "ask": 1,
            "machine_factor": 5.5,
            "class_multiplier": 0.9,
            "gpu_count": 1,
        },
        "machines_fitting": 2,
        "machines_free": 2,
        "machines": [
            {
                "provider_id": provider.id,
                "name": provider.account()["name"],
                "gpu_type": "RTX 4090",
                "gpu_source": "reported",
                "is_free": True,
                "rate_halala_per_minute": 13.5,
            },
            {
                "provider_id": dear.id,
                "name": dear.account()["name"],
                "gpu_type": "H100",
                "gpu_source": "reported",
                "is_free": True,
                "rate_halala_per_minute": 74.25,
            },
        ],
        "expected_wait_seconds": 0,
        "reason": None,
    }
    assert renter.wallet() == before
    nobody = estimate(renter, gpu_requirements={"gpu_type": "B200"})
    assert show(nobody, "quote_halala", "machines_fitting", "expected_wait_seconds", "reason") == {
        "quote_halala": 495,
        "machines_fitting": 0,
        "expected_wait_seconds": None,
        "reason": "no machine has this GPU",
    }
    refused(renter.post("/jobs/estimate", {}), 400, "Missing required fields: job_type, duration_minutes")
    refused(renter.post("/jobs/estimate", {**J3, "provider_id": 99}), 404, "Provider not found")


def test_a_queued_job_says_what_it_waits_for(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Vector 72."""
    first = renter.submit()
    assert first["waiting_for"] is None
    answer = answered(renter.try_submit(), 201)
    assert answer["job"]["waiting_for"] == "1 machine fits and is busy"
    assert answer["message"] == "The job is queued. It waits: 1 machine fits and is busy."
    assert estimate(renter)["expected_wait_seconds"] == 180
    dear = answered(renter.try_submit(gpu_requirements={"gpu_type": "H100"}), 201)["job"]
    assert dear["waiting_for"] == "no machine has this GPU"
    market.add_provider(H100)
    market.advance(1)
    given = {"status": "pending", "waiting_for": None}
    eventually(lambda: show(renter.job(dear["id"]), "status", "waiting_for") == given, "the job's machine")


def test_who_says_the_most_waits_for_whatever_costs_no_more(market: LocalMarket, renter: Renter) -> None:
    """Where all that fit are dearer: held at less, the cheaper one that comes would be refused."""
    market.add_provider(H100)
    waits = estimate(renter, max_rate_halala_per_minute=45)
    assert show(waits, "hold_rate_halala_per_minute", "machines_fitting") == {
        "hold_rate_halala_per_minute": 45,
        "machines_fitting": 0,
    }
    job = renter.submit(max_rate_halala_per_minute=45)
    assert (job["status"], job["cost_halala"]) == ("queued", 135)
    market.add_provider({"gpu_status": {"gpu_name": "NVIDIA A100-SXM4-40GB", "gpu_vram_mib": 40_960}})
    assert estimate(renter, max_rate_halala_per_minute=45)["machines_fitting"] == 1
    eventually(lambda: renter.job(job["id"])["status"] != "queued", "the job to be placed")
