"""What a run of each type needs is asked for when it is submitted."""

from dataclasses import replace
from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import ApiError
from dc1.domain.jobs.submission import JobOrder, SubmitBody, accept

APPROVED = frozenset({"docker.io/library/busybox"})
J3 = SubmitBody(job_type="llm_inference", duration_minutes=3.0, params={"prompt": "اكتب بيتين عن البحر"})


def order(**changes: Any) -> JobOrder:
    return accept(replace(J3, **changes), APPROVED)


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
        *((job_type, {"params": None}) for job_type in ("training", "rendering", "benchmark", "custom_container")),
    ],
)
def test_what_a_run_needs_may_be_said_in_several_ways(job_type: str, changes: dict[str, Any]) -> None:
    assert order(job_type=job_type, **changes).job_type == job_type
