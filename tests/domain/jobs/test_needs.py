"""What a run of each type needs is asked for when it is submitted."""

from dataclasses import replace
from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import ApiError
from dc1.domain.jobs.submission import JobOrder, SubmitBody, accept

APPROVED = frozenset({"docker.io/library/busybox"})
IMAGES = {"pytorch": "docker.io/pytorch/pytorch", "python": "docker.io/library/python"}
J3 = SubmitBody(job_type="llm_inference", duration_minutes=3.0, params={"prompt": "اكتب بيتين عن البحر"})


def order(**changes: Any) -> JobOrder:
    return accept(replace(J3, **changes), APPROVED, images_by_type=IMAGES)


@pytest.mark.parametrize(
    ("job_type", "params", "missing"),
    [
        ("llm_inference", None, "params.prompt"),
        ("llm-inference", {"prompt": " "}, "params.prompt"),
        ("rag-pipeline", {"messages": []}, "params.prompt"),
        ("image_generation", {"steps": 20}, "params.prompt"),
        ("vllm_serve", {"prompt": "x"}, "params.model"),
    ],
)
def test_what_a_run_needs_is_asked_for_at_once(job_type: str, params: JsonObject | None, missing: str) -> None:
    with pytest.raises(ApiError) as caught:
        order(job_type=job_type, params=params)
    error = caught.value
    assert error.status == 400
    assert (error.message, error.code) == (f"Missing required fields: {missing}", "MISSING_FIELDS")


@pytest.mark.parametrize(
    ("job_type", "changes"),
    [
        ("llm_inference", {"params": {"messages": [{"role": "user", "content": "hi"}]}}),
        ("image_generation", {"params": {"prompt": "the sea"}}),
        (
            "image_generation",
            {"params": None, "container_spec": {"image_type": "x", "image": "docker.io/library/busybox"}},
        ),
        ("vllm_serve", {"params": {"model": "a/b"}}),
        ("vllm_serve", {"params": None, "model": "a/b"}),
        *((job_type, {"params": None}) for job_type in ("training", "rendering", "benchmark")),
        ("custom_container", {"params": {"command": "nvidia-smi"}}),
        ("custom_container", {"params": None, "container_spec": {"image_type": "x", "job_cmd": ["id"]}}),
        ("custom_container", {"params": None, "task_spec": {"script": "print(1)"}}),
        ("custom_container", {"params": None, "container_spec": {"image_type": "python"}}),
        (
            "custom_container",
            {"params": None, "container_spec": {"image_type": "x", "image": "docker.io/library/busybox"}},
        ),
    ],
)
def test_what_a_run_needs_may_be_said_in_several_ways(job_type: str, changes: dict[str, Any]) -> None:
    assert order(job_type=job_type, **changes).job_type == job_type


CONTAINERS: list[tuple[str, dict[str, Any]]] = [
    ("custom_container", {"params": {"command": "id"}}),
    ("custom_container", {"container_spec": {"image_type": "python", "command": "id"}}),
    ("training", {}),
    ("rendering", {"task_spec": {"scene": 1}}),
    ("image_generation", {}),
]


@pytest.mark.parametrize(("job_type", "changes"), CONTAINERS)
def test_a_container_without_an_image_needs_one_that_stands_in(job_type: str, changes: dict[str, Any]) -> None:
    """It was accepted, and failed on the machine as the renter's mistake."""
    body = replace(J3, job_type=job_type, **changes)
    with pytest.raises(ApiError) as caught:
        accept(body, APPROVED)
    assert (caught.value.status, caught.value.message) == (400, "Missing required fields: container_spec.image")
    assert accept(body, APPROVED, images_by_type=IMAGES).job_type == job_type


def test_a_container_that_names_neither_image_nor_command_is_refused() -> None:
    for spec in (None, {"image_type": "custom"}, {"image_type": "x", "command": ""}):
        with pytest.raises(ApiError) as caught:
            order(job_type="custom_container", params={"steps": 1}, container_spec=spec)
        assert caught.value.message == "Missing required fields: container_spec.image"
