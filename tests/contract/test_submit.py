"""Vectors 32 to 39: accepted submissions, the wallet that pays for them, and its limits."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.expect import answered, refused, show
from tests.stack.people import Admin, Renter
from tests.stack.poll_daemon import MODEL, PollDaemon
from tests.stack.rest import Json
from tests.stack.stack import Stack

EXAMPLE: Json = {
    "provider_id": 1,
    "job_type": "llm_inference",
    "duration_minutes": 3,
    "max_duration_seconds": 180,
    "container_spec": {"image_type": "vllm-serve"},
    "params": {"model": MODEL, "prompt": "اكتب بيتين عن البحر"},
}


@pytest.mark.usefixtures("provider")
def test_32_an_accepted_job_is_held_and_pending(stack: Stack, renter: Renter) -> None:
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
        "submitted_at": stack.now(),
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
    }
    assert job_id.startswith(f"job-{stack.clock.now_ms()}-")
    assert show(answer, *job) == job
    assert show(renter.wallet(), "balance_halala", "held_halala", "total_jobs") == {
        "balance_halala": 955,
        "held_halala": 45,
        "total_jobs": 1,
    }


@pytest.mark.usefixtures("provider")
def test_33_class_and_priority_are_two_things(renter: Renter) -> None:
    first = renter.submit(priority="1", pricing_class="priority")
    second = renter.submit(priority=1, pricing_class="economy")
    assert show(first, "priority", "cost_halala") == {"priority": 1, "cost_halala": 54}
    assert show(second, "priority", "cost_halala") == {"priority": 1, "cost_halala": 41}
    assert show(renter.wallet(), "balance_halala", "held_halala") == {"balance_halala": 905, "held_halala": 95}


@pytest.mark.usefixtures("provider")
def test_34_markup_in_a_prompt_stays_as_it_is(renter: Renter) -> None:
    job = renter.submit(params={"prompt": "<b>1<2</b>"}, bogus=1)
    shown = renter.job(job["id"])
    assert shown["params"]["prompt"] == "<b>1<2</b>"
    assert "bogus" not in shown


def test_35_without_a_provider_a_job_waits(stack: Stack, renter: Renter, provider: PollDaemon) -> None:
    stack.advance(601, silent=[provider])
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
def test_36_and_37_the_last_money_is_spent_once(stack: Stack, renter: Renter, admin: Admin) -> None:
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

    answers = stack.at_once([renter.try_submit] * 2)
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
def test_38_a_month_has_a_budget(renter: Renter) -> None:
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
def test_39_a_day_has_a_hundred_jobs(stack: Stack, renter: Renter) -> None:
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
    stack.advance(5 * 3600, silent=stack.daemons)
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


@pytest.mark.parametrize(
    ("job_type", "minutes", "costs"),
    [
        ("llm_inference", 3, (45, 54, 41)),
        ("llm-inference", 0.1, (2, 2, 2)),
        ("vllm_serve", 4.1, (82, 99, 74)),
        ("training", 5, (125, 150, 113)),
        ("rendering", 10, (200, 240, 180)),
        ("image_generation", 1, (20, 24, 18)),
        ("rag-pipeline", 2.5, (38, 45, 34)),
        ("custom_container", 0.1, (1, 2, 1)),
        ("benchmark", 7, (70, 84, 63)),
    ],
)
@pytest.mark.usefixtures("provider")
def test_the_price_list(renter: Renter, job_type: str, minutes: float, costs: tuple[int, ...]) -> None:
    quoted = tuple(
        renter.submit(job_type=job_type, duration_minutes=minutes, pricing_class=name)["cost_halala"]
        for name in ("standard", "priority", "economy")
    )
    assert quoted == costs
    assert renter.balance() == 1000 - sum(costs)


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        ({"duration_minutes": "3"}, {"duration_minutes": 3, "cost_halala": 45}),
        ({"duration_minutes": 0.1}, {"duration_minutes": 0.1, "cost_halala": 2}),
        ({"provider_id": "1"}, {"provider_id": 1}),
        ({"provider_id": 1.0}, {"provider_id": 1}),
        ({"provider_id": None}, {"provider_id": 1}),
        ({"max_duration_seconds": "60"}, {"max_duration_seconds": 60}),
        ({"max_duration_seconds": 60.0}, {"max_duration_seconds": 60}),
        ({"max_duration_seconds": None}, {"max_duration_seconds": 1800}),
        ({"priority": None}, {"priority": 2}),
        ({"priority": "3"}, {"priority": 3}),
        ({"priority": 3.0}, {"priority": 3}),
        ({"pricing_class": None}, {"pricing_class": "standard"}),
        ({"container_spec": {"image_type": "llm", "pricing_class": "economy"}}, {"pricing_class": "economy"}),
        ({"prewarm_requested": True}, {"prewarm_requested": True}),
        ({"container_spec": {"image_type": "llm", "enable_checkpoint": True}}, {"checkpoint_enabled": True}),
        ({"model": MODEL}, {"model": MODEL}),
        ({"model": "other/Model", "params": {"model": MODEL.upper()}}, {"model": MODEL.upper()}),
        ({"min_vram_gb": 8}, {"gpu_requirements": {"min_vram_gb": 8}}),
        (
            {"min_vram_gb": 8, "gpu_requirements": {"min_vram_gb": 16, "gpu_type": "rtx 4090", "note": "x"}},
            {"gpu_requirements": {"min_vram_gb": 16, "gpu_type": "rtx 4090", "note": "x"}},
        ),
        ({"metadata": {"team": 1}, "env_vars": {"A": "1"}}, {"status": "pending"}),
    ],
)
@pytest.mark.usefixtures("provider")
def test_what_may_be_written_in_several_ways(renter: Renter, change: Json, stored: Json) -> None:
    job = renter.submit(**change)
    assert show(job, *stored) == stored
    shown = renter.job(job["job_id"])
    assert show(shown, *stored) == stored


@pytest.mark.parametrize(
    ("job_type", "image_type", "compute_type"),
    [
        ("llm_inference", "llm", "inference"),
        ("llm-inference", "llm", "inference"),
        ("vllm_serve", "vllm-serve", "inference"),
        ("training", "training", "training"),
        ("rendering", "rendering", "rendering"),
        ("image_generation", "image_generation", "rendering"),
        ("benchmark", "benchmark", "inference"),
        ("rag-pipeline", "rag-pipeline", "inference"),
        ("custom_container", "custom_container", "inference"),
    ],
)
@pytest.mark.usefixtures("provider")
def test_the_container_spec_that_was_not_sent(
    renter: Renter, job_type: str, image_type: str, compute_type: str
) -> None:
    spec = renter.submit(job_type=job_type)["container_spec"]
    assert show(spec, "image_type", "compute_type", "gpu_count", "vram_required_mb") == {
        "image_type": image_type,
        "compute_type": compute_type,
        "gpu_count": 1,
        "vram_required_mb": 0,
    }


FREE: list[Any] = [
    {"prompt": "اكتب بيتين عن البحر 🌊", "nested": {"deep": [1, 2.5, None, True, "x"], "empty": {}}},
    {"prompt": "<script>alert('1') && \"2\"</script>\r\n\t\u2028\\", "": "empty key", "a.b": 1},
    {"seed": 9007199254740991, "negative": -1, "tiny": 1e-7, "zero": 0, "list": [], "null": None},
    {},
]


@pytest.mark.parametrize("free", FREE)
def test_free_json_comes_back_and_reaches_the_daemon_as_sent(renter: Renter, provider: PollDaemon, free: Json) -> None:
    spec = {"image_type": "llm", "extra": free}
    job = renter.submit(params=free, task_spec=free, container_spec=spec, env_vars={"نص": "<قيمة>"})
    shown = renter.job(job["id"])
    assert shown["params"] == free
    assert shown["task_spec"] == free
    assert shown["container_spec"]["extra"] == free
    handed_out = provider.next()
    assert handed_out["params"] == free
    assert handed_out["container_spec"]["extra"] == free
    assert handed_out["env_vars"] == {"نص": "<قيمة>"}


@pytest.mark.usefixtures("provider")
def test_the_short_form_of_a_container_job(renter: Renter) -> None:
    response = renter.post(
        "/jobs/submit", {"container_image": "evil/image:latest", "command": "nvidia-smi", "max_duration_seconds": 60}
    )
    refused(response, 400, code="IMAGE_NOT_APPROVED")


def test_a_named_provider_is_never_swapped(stack: Stack, renter: Renter, provider: PollDaemon) -> None:
    other = stack.add_provider()
    first = renter.submit(provider_id=provider.id)
    second = renter.submit(provider_id=provider.id)
    assert show(second, "status", "provider_id", "queue_position") == {
        "status": "queued",
        "provider_id": provider.id,
        "queue_position": 1,
    }
    assert renter.submit()["provider_id"] == other.id
    assert first["provider_id"] == provider.id


def test_the_queue_has_one_order(stack: Stack, renter: Renter, provider: PollDaemon) -> None:
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
        stack.advance(1)
        waiting[name] = renter.submit(**change)["id"]
    positions = {name: renter.job(row_id)["queue_position"] for name, row_id in waiting.items()}
    assert positions == {"priority": 1, "urgent": 2, "standard": 3, "later": 4, "economy": 5}

    provider.result(provider.next()["id"])
    order = []
    for _ in waiting:
        job = stack.next_job(provider)
        order.append(job["id"])
        provider.result(job["id"])
    assert order == [waiting[name] for name in ("priority", "urgent", "standard", "later", "economy")]
