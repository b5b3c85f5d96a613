"""Contract 5.1 to 5.3: what a machine costs, what is held for a job, and what the one that ran it is paid."""

from typing import Any

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import refused, show

H100: Json = {"gpu_status": {"gpu_name": "NVIDIA H100 80GB HBM3", "gpu_vram_mib": 81_559}}
T4: Json = {"gpu_status": {"gpu_name": "Tesla T4", "gpu_vram_mib": 15_360}}
RATES = ("cost_halala", "hold_rate_halala_per_minute", "rate_halala_per_minute")


def ask(machine: PollDaemon, multiplier: float) -> None:
    answered(machine.post("/providers/preferences", {"ask": multiplier}))


def benchmark(**changes: Any) -> Json:
    return {"job_type": "benchmark", "duration_minutes": 10, **changes}


def test_the_hold_is_for_the_dearest_and_the_bill_of_the_one_that_ran(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Vector 67."""
    dear, cheap = market.add_provider(H100), market.add_provider(T4)
    job = renter.submit(benchmark())
    # Equal in all else, the cheapest of the three has it.
    assert show(job, *RATES, "provider_id") == {
        "cost_halala": 550,
        "hold_rate_halala_per_minute": 55,
        "rate_halala_per_minute": 4,
        "provider_id": cheap.id,
    }
    assert renter.balance() == 450
    # What its owner asks from now on is for later jobs.
    ask(cheap, 2)
    market.advance(1)
    assert cheap.next()["job_id"] == job["job_id"]
    cheap.progress(job["id"], "generating")
    market.advance(60)
    billed = cheap.result(job["id"], duration_seconds=60)["billing"]
    assert show(billed, "actual_cost_halala", "provider_earned_halala", "dc1_fee_halala", "refunded_halala") == {
        "actual_cost_halala": 4,
        "provider_earned_halala": 3,
        "dc1_fee_halala": 1,
        "refunded_halala": 546,
    }
    (execution,) = answered(renter.get(f"/jobs/{job['id']}/executions"))["executions"]
    assert execution["rate_halala_per_minute"] == 4
    invoice = answered(renter.get(f"/jobs/{job['id']}/invoice"))
    assert show(invoice, "rate_halala_per_minute", "hold_rate_halala_per_minute", "run_rate_halala_per_minute") == {
        "rate_halala_per_minute": 10,
        "hold_rate_halala_per_minute": 55,
        "run_rate_halala_per_minute": 4,
    }
    named = renter.submit(benchmark(provider_id=dear.id, duration_minutes=1))
    assert show(named, *RATES) == {
        "cost_halala": 55,
        "hold_rate_halala_per_minute": 55,
        "rate_halala_per_minute": 55,
    }


def test_a_limit_caps_the_hold_and_leaves_dearer_machines_out(
    market: LocalMarket, renter: Renter, provider: PollDaemon
) -> None:
    """Vector 68."""
    dear = market.add_provider(H100)
    limited = renter.submit(benchmark(max_rate_halala_per_minute=54.9))
    assert show(limited, *RATES, "max_rate_halala_per_minute", "provider_id") == {
        "cost_halala": 100,
        "hold_rate_halala_per_minute": 10,
        "rate_halala_per_minute": 10,
        "max_rate_halala_per_minute": 54.9,
        "provider_id": provider.id,
    }
    # The machine below the limit is taken; the other is free and is not asked.
    waits = renter.submit(benchmark(max_rate_halala_per_minute=10))
    assert show(waits, "status", *RATES) == {
        "status": "queued",
        "cost_halala": 100,
        "hold_rate_halala_per_minute": 10,
        "rate_halala_per_minute": None,
    }
    assert dear.ask()["admission"]["reason_code"] == "PRICE_ABOVE_HOLD"
    refused(
        renter.try_submit(benchmark(provider_id=dear.id, max_rate_halala_per_minute=54.9)),
        400,
        "Provider costs more than max_rate_halala_per_minute",
        rate_halala_per_minute=55,
    )
    for limit in (0, -1, "dear"):
        refused(renter.try_submit(benchmark(max_rate_halala_per_minute=limit)), 400)
    refused(renter.try_submit(benchmark(prefer="luck")), 400, "Invalid prefer. Allowed: reputation, price")


def test_gpus_and_asks_multiply(market: LocalMarket, renter: Renter) -> None:
    """Vector 69."""
    machine = market.add_provider({"gpu_status": {**T4["gpu_status"], "gpu_count": 8}})
    ask(machine, 1.25)
    # 15 a minute, times 0.4, 1.25, 4 and 1.2, times 3 minutes.
    spec = {"image_type": "llm", "gpu_count": 4}
    job = renter.submit(J3, container_spec=spec, pricing_class="priority")
    assert show(job, *RATES) == {
        "cost_halala": 108,
        "hold_rate_halala_per_minute": 36,
        "rate_halala_per_minute": 36,
    }
    (listed,) = answered(renter.get("/renters/available-providers"))["providers"]
    assert show(listed, "gpu_type", "gpu_factor", "ask", "price_per_hour_sar") == {
        "gpu_type": "T4",
        "gpu_factor": 0.4,
        "ask": 1.25,
        "price_per_hour_sar": 4.5,
    }
    for wrong in (0.49, 2.01, 1.005, 0, "much"):
        refused(machine.post("/providers/preferences", {"ask": wrong}), 400)
    assert show(machine.account(), "ask", "price_per_hour_sar") == {"ask": 1.25, "price_per_hour_sar": 4.5}


def test_admins_set_factors_and_open_jobs_keep_theirs(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    """Vector 70."""
    assert {row["gpu_model"]: row["factor"] for row in answered(admin.get("/admin/gpu-factors"))["factors"]} == {
        "B200": 11,
        "H200": 7.5,
        "H100": 5.5,
        "A100 80 GB": 3.2,
        "A100 40 GB": 2.5,
        "L40S": 2,
        "RTX 5090": 1.5,
        "A6000": 1.1,
        "RTX 4090": 1,
        "L4": 0.9,
        "RTX 4080": 0.8,
        "RTX 3090": 0.6,
        "V100": 0.5,
        "RTX 3080": 0.45,
        "T4": 0.4,
        "RTX 3060": 0.3,
    }
    first = renter.submit(benchmark())
    set_factor = answered(admin.patch("/admin/gpu-factors/nvidia-rtx4090", {"factor": 2.5}))
    assert set_factor == {"gpu_model": "RTX 4090", "factor": 2.5, "updated_at": market.now()}
    assert show(renter.job(first["id"]), *RATES) == {
        "cost_halala": 100,
        "hold_rate_halala_per_minute": 10,
        "rate_halala_per_minute": 10,
    }
    assert renter.submit(benchmark())["cost_halala"] == 250
    # A model of which nobody spoke before has a factor from now on.
    provider.heartbeat({"gpu_status": {"gpu_name": "NVIDIA GH200 480GB"}})
    assert renter.submit(benchmark(duration_minutes=1))["cost_halala"] == 10
    answered(admin.patch("/admin/gpu-factors/GH200 480GB", {"factor": 6}))
    assert renter.submit(benchmark(duration_minutes=1))["cost_halala"] == 60
    for wrong in ({}, {"factor": 0}, {"factor": 100.01}, {"factor": 1.005}):
        refused(admin.patch("/admin/gpu-factors/T4", wrong), 400)
    audited = [row["path"] for row in answered(admin.get("/admin/audit"))["entries"]]
    assert "/admin/gpu-factors/nvidia-rtx4090" in audited


def test_a_claim_earns_no_more_than_any_machine(market: LocalMarket, renter: Renter, admin: Admin) -> None:
    boaster = market.register_provider(gpu_model="NVIDIA H100")
    answered(admin.patch(f"/admin/providers/{boaster.id}/approve"))
    boaster.heartbeat({"gpu_status": {"temp_c": 40}})
    assert renter.submit(benchmark())["cost_halala"] == 100
