"""Accepted submissions, the wallet that pays for them, and its limits (contract 7, vectors 30 to 39)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show

EXAMPLE: Json = {
    "provider_id": 1,
    "job_type": "llm_inference",
    "duration_minutes": 3,
    "max_duration_seconds": 180,
    "container_spec": {"image_type": "vllm-serve"},
    "params": {"model": MODEL, "prompt": "اكتب بيتين عن البحر"},
}


@pytest.mark.usefixtures("provider")
def test_vram_is_compared_in_whole_gigabytes(renter: Renter) -> None:
    """Contract 7, vector 30."""
    text = "Provider does not meet GPU requirements"
    too_small: Json = {"required_vram_gb": 80, "provider_vram_gb": 24}
    refused(renter.try_submit(provider_id=1, min_vram_gb=80), 400, text, **too_small)
    refused(renter.try_submit(provider_id=1, gpu_requirements={"min_vram_gb": 80}), 400, text, **too_small)
    refused(
        renter.try_submit(provider_id=1, min_vram_gb=80, gpu_requirements={"min_vram_gb": 8}), 400, text, **too_small
    )
    job = renter.submit(provider_id=1, min_vram_gb=24)
    assert job["status"] == "pending"
    assert job["gpu_requirements"] == {"min_vram_gb": 24}


@pytest.mark.usefixtures("provider")
def test_any_vram_may_be_asked_for(renter: Renter) -> None:
    for wish in ({"min_vram_gb": 2000}, {"gpu_requirements": {"min_vram_gb": 2000}}):
        job = renter.submit(**wish)
        assert show(job, "status", "gpu_requirements") == {
            "status": "queued",
            "gpu_requirements": {"min_vram_gb": 2000},
        }
        refusal = refused(renter.try_submit(provider_id=1, **wish), 400, "Provider does not meet GPU requirements")
        assert show(refusal, "required_vram_gb", "provider_vram_gb") == {
            "required_vram_gb": 2000,
            "provider_vram_gb": 24,
        }


@pytest.mark.usefixtures("provider")
def test_a_model_nobody_serves_waits_unless_a_provider_is_named(renter: Renter) -> None:
    """Contract 7, vector 31."""
    response = renter.try_submit(model="other/Model-7B", provider_id=1)
    refused(response, 400, "Provider does not serve model 'other/Model-7B'", code="MODEL_NOT_SERVED")
    answer = renter.try_submit(model="other/Model-7B")
    assert answer.status_code == 201
    body = answer.json()
    assert body["queued"] is True
    assert body["job"]["provider_id"] is None
    assert body["job"]["queue_position"] == 1


@pytest.mark.usefixtures("provider")
def test_an_accepted_job_is_held_and_pending(market: LocalMarket, renter: Renter) -> None:
    """Contract 7, vector 32."""
    answer = answered(renter.try_submit(EXAMPLE), 201)
    assert show(answer, "success", "queued", "message") == {"success": True, "queued": False, "message": None}
    job = answer["job"]
    job_id = job["job_id"]
    assert job == {
        "id": 1,
        "job_id": job_id,
        "renter_id": 1,
        "provider_id": 1,
        "job_type": "llm_inference",
        "model": MODEL,
        "status": "pending",
        "submitted_at": market.now(),
        "started_at": None,
        "timeout_at": None,
        "duration_minutes": 3,
        "cost_halala": 45,
        "max_duration_seconds": 180,
        "gpu_requirements": None,
        "container_spec": {
            "image_type": "vllm-serve",
            "vram_required_mb": 0,
            "gpu_count": 1,
            "compute_type": "inference",
            "pricing_class": "standard",
        },
        "priority": 2,
        "pricing_class": "standard",
        "prewarm_requested": False,
        "checkpoint_enabled": False,
        "queue_position": None,
        "workspace_volume_name": f"dcp-job-{job_id}",
        "hold_rate_halala_per_minute": 15,
        "rate_halala_per_minute": 15,
        "max_rate_halala_per_minute": None,
        "prefer": "reputation",
        "waiting_for": None,
    }
    assert job_id.startswith(f"job-{market.clock.now_ms()}-")
    # `id` at the top level is the public one (contract 8).
    assert show(answer, *job) == {**job, "id": job_id}
    assert show(renter.wallet(), "balance_halala", "held_halala", "total_jobs") == {
        "balance_halala": 955,
        "held_halala": 45,
        "total_jobs": 1,
    }


@pytest.mark.usefixtures("provider")
def test_class_and_priority_are_two_things(renter: Renter) -> None:
    """Contract 7, vector 33."""
    first = renter.submit(priority="1", pricing_class="priority")
    second = renter.submit(priority=1, pricing_class="economy")
    assert show(first, "priority", "cost_halala") == {"priority": 1, "cost_halala": 54}
    assert show(second, "priority", "cost_halala") == {"priority": 1, "cost_halala": 41}
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 905, "held_halala": 95}


@pytest.mark.usefixtures("provider")
def test_markup_in_a_prompt_stays_as_it_is(renter: Renter) -> None:
    """Contract 7, vector 34."""
    job = renter.submit(params={"prompt": "<b>1<2</b>"}, bogus=1)
    shown = renter.job(job["id"])
    assert shown["params"]["prompt"] == "<b>1<2</b>"
    assert "bogus" not in shown


def test_without_a_provider_a_job_waits(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 35."""
    market.advance(601, silent=[provider])
    answer = answered(renter.try_submit(), 201)
    assert answer["queued"] is True
    assert isinstance(answer["message"], str)
    assert show(answer["job"], "status", "provider_id", "queue_position", "timeout_at") == {
        "status": "queued",
        "provider_id": None,
        "queue_position": 1,
        "timeout_at": None,
    }


@pytest.mark.usefixtures("provider")
def test_the_last_money_is_spent_once(market: LocalMarket, renter: Renter, admin: Admin) -> None:
    """Contract 7, vectors 36 and 37."""
    assert admin.adjust(1, -956)["new_balance"] == 44
    refused(
        renter.try_submit(),
        402,
        "Insufficient balance",
        code="INSUFFICIENT_BALANCE",
        balance_halala=44,
        required_halala=45,
        shortfall_halala=1,
    )
    assert renter.top_up(1)["new_balance_halala"] == 45

    answers = market.at_once([renter.try_submit] * 2)
    assert sorted(answer.status_code for answer in answers) == [201, 402]
    assert renter.balance() == 0
    refused(
        renter.try_submit(),
        402,
        "Balance is zero. Please top up your renter wallet before submitting jobs.",
        code="ZERO_BALANCE",
        balance_halala=0,
        required_halala=45,
    )
    assert renter.wallet()["total_jobs"] == 1


@pytest.mark.usefixtures("provider")
def test_a_month_has_a_budget(renter: Renter) -> None:
    """Contract 7, vector 38."""
    rendering = {"job_type": "rendering", "duration_minutes": 501}
    response = renter.try_submit(rendering)
    refused(
        response,
        429,
        "Monthly spend quota exceeded",
        code="QUOTA_MONTHLY",
        monthly_spend_limit_halala=10000,
        spent_this_month_halala=0,
        requested_halala=10020,
    )
    # From 22 March 19:00 to 1 April 00:00.
    assert response.headers["retry-after"] == str(9 * 86400 + 5 * 3600 - 10)
    refused(
        renter.try_submit(rendering, duration_minutes=500),
        402,
        "Insufficient balance",
        balance_halala=1000,
        required_halala=10000,
        shortfall_halala=9000,
    )


@pytest.mark.usefixtures("provider")
def test_a_day_has_a_hundred_jobs(market: LocalMarket, renter: Renter) -> None:
    """Contract 7, vector 39."""
    cheap = {"job_type": "benchmark", "duration_minutes": 0.1}
    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(lambda _: renter.submit(cheap), range(100)))
    assert {job["cost_halala"] for job in jobs} == {1}
    response = renter.try_submit(cheap)
    refused(
        response,
        429,
        "Daily job submission quota exceeded",
        code="QUOTA_DAILY",
        daily_jobs_limit=100,
        submitted_today=100,
    )
    assert response.headers["retry-after"] == str(5 * 3600 - 10)
    assert renter.balance() == 900
    market.advance(5 * 3600, silent=market.daemons)
    renter.submit(cheap)


@pytest.mark.settings(quota_daily_jobs=1, quota_monthly_halala=50)
@pytest.mark.usefixtures("provider")
def test_the_quotas_come_in_their_order(renter: Renter, admin: Admin) -> None:
    refused(renter.try_submit(duration_minutes=4), 429, "Monthly spend quota exceeded")
    renter.submit()
    refused(renter.try_submit(duration_minutes=4), 429, "Daily job submission quota exceeded")
    admin.adjust(1, -955)
    refused(renter.try_submit(), 402, code="ZERO_BALANCE")


@pytest.mark.settings(quota_monthly_halala=50)
@pytest.mark.usefixtures("provider")
def test_a_cancelled_job_gives_the_months_money_back(renter: Renter) -> None:
    job = renter.submit()
    refused(renter.try_submit(), 429, spent_this_month_halala=45, requested_halala=45)
    answered(renter.cancel(job["id"]))
    renter.submit()


@pytest.mark.usefixtures("provider")
def test_the_short_form_of_a_container_job(renter: Renter) -> None:
    response = renter.post(
        "/jobs/submit", {"container_image": "evil/image:latest", "command": "nvidia-smi", "max_duration_seconds": 60}
    )
    refused(response, 400, code="IMAGE_NOT_APPROVED")
    short: Json = {"container_image": "busybox:1.36"}
    for command in (7, {"a": 1}, ["echo", 1], True):
        refused(renter.post("/jobs/submit", {**short, "command": command}), 400, "Validation failed")
    # The image's own command is run then.
    for own in (short, {**short, "command": None}):
        job = answered(renter.post("/jobs/submit", own), 201)["job"]
        assert show(job, "job_type", "max_duration_seconds") == {
            "job_type": "custom_container",
            "max_duration_seconds": 1800,
        }
        assert "job_cmd" not in job["container_spec"]
        answered(renter.cancel(job["id"]))


def test_a_short_image_name_is_written_out(renter: Renter, provider: PollDaemon, admin: Admin) -> None:
    full = "docker.io/library/busybox:1.36"
    short: Json = {"container_image": "busybox:1.36", "command": ["echo", "hi"]}
    job = answered(renter.post("/jobs/submit", short), 201)
    assert answered(renter.get(f"/jobs/{job['job_id']}"))["container_image"] == full
    assert provider.next()["container_spec"]["image"] == full
    answered(admin.post("/admin/containers/approve-image", {"image_ref": "team/tool:1"}), 201)
    spec = {"image_type": "custom", "image": "team/tool:1"}
    kept = renter.submit(job_type="custom_container", container_spec=spec)
    assert kept["container_spec"]["image"] == "team/tool:1"
    for other in ("localhost/library/busybox:1.36", "evil.example/busybox:1.36", "library/busybox"):
        refused(renter.post("/jobs/submit", {**short, "container_image": other}), 400, code="IMAGE_NOT_APPROVED")


def test_a_named_provider_is_never_swapped(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    other = market.add_provider()
    first = renter.submit(provider_id=provider.id)
    second = renter.submit(provider_id=provider.id)
    assert show(second, "status", "provider_id", "queue_position") == {
        "status": "queued",
        "provider_id": provider.id,
        "queue_position": 1,
    }
    assert renter.submit()["provider_id"] == other.id
    assert first["provider_id"] == provider.id


def test_the_queue_has_one_order(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit(provider_id=1)
    waiting = {}
    orders: dict[str, Json] = {
        "economy": {"pricing_class": "economy", "priority": 1},
        "standard": {},
        "later": {},
        "urgent": {"priority": 1},
        "priority": {"pricing_class": "priority", "priority": 3},
    }
    for name, change in orders.items():
        market.advance(1)
        waiting[name] = renter.submit(**change)["id"]
    positions = {name: renter.job(row_id)["queue_position"] for name, row_id in waiting.items()}
    assert positions == {"priority": 1, "urgent": 2, "standard": 3, "later": 4, "economy": 5}

    provider.result(provider.next()["id"])
    order = []
    for _ in waiting:
        job = market.next_job(provider)
        order.append(job["id"])
        provider.result(job["id"])
    assert order == [waiting[name] for name in ("priority", "urgent", "standard", "later", "economy")]
