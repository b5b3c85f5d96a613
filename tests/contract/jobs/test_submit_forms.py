"""Prices, and everything of a submission that may be written in more than one way (contract 2.3)."""

from collections.abc import Iterator
from typing import Any

import pytest

from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract import quiet
from tests.contract.expect import answered, refused, show

market, renter, provider = quiet.market, quiet.renter, quiet.provider


@pytest.fixture(autouse=True)
def open_jobs_are_cancelled(renter: Renter, provider: PollDaemon) -> Iterator[None]:
    """The provider is idle and nothing is held before each test."""
    yield
    for job in answered(renter.get("/jobs", params={"status": "in_progress"}))["jobs"]:
        answered(renter.cancel(job["id"]))


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
def test_the_price_list(renter: Renter, job_type: str, minutes: float, costs: tuple[int, ...]) -> None:
    jobs = [
        renter.submit(
            job_type=job_type, duration_minutes=minutes, pricing_class=name, model=MODEL, task_spec={"steps": 1}
        )
        for name in ("standard", "priority", "economy")
    ]
    assert tuple(job["cost_halala"] for job in jobs) == costs
    assert renter.wallet()["held_halala"] == sum(costs)


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
        ({"max_duration_seconds": None}, {"max_duration_seconds": 180}),
        ({"max_duration_seconds": 604_800}, {"max_duration_seconds": 604_800}),
        ({"priority": None}, {"priority": 2}),
        ({"priority": "3"}, {"priority": 3}),
        ({"priority": 3.0}, {"priority": 3}),
        ({"pricing_class": None}, {"pricing_class": "standard"}),
        ({"container_spec": {"image_type": "llm", "pricing_class": "economy"}}, {"pricing_class": "economy"}),
        ({"prewarm_requested": True}, {"prewarm_requested": True}),
        ({"container_spec": {"image_type": "llm", "enable_checkpoint": True}}, {"checkpoint_enabled": True}),
        ({"model": MODEL}, {"model": MODEL}),
        ({"model": "other/Model", "params": {**J3["params"], "model": MODEL.upper()}}, {"model": MODEL.upper()}),
        ({"min_vram_gb": 8}, {"gpu_requirements": {"min_vram_gb": 8}}),
        (
            {"min_vram_gb": 8, "gpu_requirements": {"min_vram_gb": 16, "gpu_type": "rtx 4090", "note": "x"}},
            {"gpu_requirements": {"min_vram_gb": 16, "gpu_type": "rtx 4090", "note": "x"}},
        ),
        ({"metadata": {"team": 1}, "env_vars": {"A": "1"}}, {"status": "pending"}),
    ],
)
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
def test_the_container_spec_that_was_not_sent(
    renter: Renter, job_type: str, image_type: str, compute_type: str
) -> None:
    spec = renter.submit(job_type=job_type, model=MODEL, task_spec={"steps": 1})["container_spec"]
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
    # Of a type that needs nothing in particular.
    job = renter.submit(
        job_type="training", params=free, task_spec=free, container_spec=spec, env_vars={"نص": "<قيمة>"}
    )
    shown = renter.job(job["id"])
    assert shown["params"] == free
    assert shown["task_spec"] == free
    assert shown["container_spec"]["extra"] == free
    handed_out = provider.next()
    assert handed_out["params"] == free
    assert "extra" not in handed_out["container_spec"]
    assert handed_out["env_vars"] == {"نص": "<قيمة>"}


def test_the_short_form_orders_a_container_job(renter: Renter, provider: PollDaemon) -> None:
    image = "docker.io/library/busybox:1.36"
    answer = renter.post("/jobs/submit", {"container_image": image, "command": "echo 'hi' <&>"})
    job = answered(answer, 201)["job"]
    assert show(job, "job_type", "max_duration_seconds", "duration_minutes", "cost_halala") == {
        "job_type": "custom_container",
        "max_duration_seconds": 1800,
        "duration_minutes": 30,
        "cost_halala": 300,
    }
    longer = renter.post("/jobs/submit", {"container_image": image, "command": "x", "duration_minutes": 50})
    assert answered(longer, 201)["job"]["max_duration_seconds"] == 3000
    assert answered(renter.get(f"/jobs/{job['job_id']}"))["container_image"] == image
    spec = provider.next()["container_spec"]
    assert show(spec, "image", "job_cmd") == {"image": image, "job_cmd": "echo 'hi' <&>"}
    refused(renter.try_submit(container_spec={"image_type": "custom", "image": f"{image}x"}), 400)


def test_image_and_command_are_taken_beside_a_job_type_too(renter: Renter, provider: PollDaemon) -> None:
    """They were accepted and forgotten, and the job failed on the machine for want of an image."""
    image = "docker.io/library/busybox:1.36"
    order: Json = {"job_type": "custom_container", "duration_minutes": 5, "container_image": "busybox:1.36"}
    job = answered(renter.post("/jobs/submit", {**order, "command": ["echo", "hi"]}), 201)["job"]
    assert show(job, "job_type", "duration_minutes") == {"job_type": "custom_container", "duration_minutes": 5}
    assert answered(renter.get(f"/jobs/{job['job_id']}"))["container_image"] == image
    spec = provider.next()["container_spec"]
    assert show(spec, "image", "image_type") == {"image": image, "image_type": "custom_container"}
    assert spec["job_cmd"] in ("echo hi", ["echo", "hi"])
    own = answered(renter.post("/jobs/submit", order), 201)["job"]["container_spec"]
    assert (own["image"], "job_cmd" in own) == (image, False)
    # Vector 24, where a type has an image in the registry.
    typed = {"job_type": "custom_container", "duration_minutes": 5, "container_spec": {"image_type": "python"}}
    answered(renter.post("/jobs/submit", typed), 201)
    evil = {**order, "container_image": "evil/image:latest", "command": "x"}
    refused(renter.post("/jobs/submit", evil), 400, code="IMAGE_NOT_APPROVED")


def test_a_conversation_will_do_for_a_prompt(renter: Renter) -> None:
    """Contract 7, vector 24."""
    assert renter.submit(params={"messages": [{"role": "user", "content": "hi"}]})["cost_halala"] == 45
