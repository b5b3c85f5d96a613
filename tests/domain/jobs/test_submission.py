"""Submissions: the documented order of refusals, and the defaults of what is accepted."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import ApiError
from dc1.domain.jobs.placement import ProviderView, Requirement
from dc1.domain.jobs.states import JobType
from dc1.domain.jobs.submission import (
    JobOrder,
    ShortForm,
    SubmitBody,
    accept,
    check_named_provider,
    expand_short_form,
)
from dc1.domain.providers.liveness import Approval, ProviderStatus

PROMPT: JsonObject = {"prompt": "اكتب بيتين عن البحر"}
J3 = SubmitBody(job_type="llm_inference", duration_minutes=3.0, params=PROMPT)
APPROVED = frozenset({"docker.io/library/busybox"})
ONLINE = ProviderView(
    id=1,
    approval=Approval.APPROVED,
    status=ProviderStatus.ONLINE,
    vram_mib=24564,
    gpu_type="RTX4090",
    gpu_model="NVIDIA GeForce RTX 4090",
    models=frozenset({"tinyllama/tinyllama-1.1b-chat-v1.0"}),
)


def order(**changes: Any) -> JobOrder:
    return accept(replace(J3, **changes), APPROVED, images_by_type={"pytorch": "docker.io/pytorch/pytorch"})


def refusal(**changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        order(**changes)
    assert caught.value.status == 400
    return caught.value


def test_defaults() -> None:
    accepted = order()
    assert accepted == JobOrder(
        job_type=JobType.LLM_INFERENCE,
        duration_minutes=Decimal(3),
        max_duration_seconds=180,
        params=PROMPT,
        model=None,
        max_rate_halala_per_minute=None,
        container_spec={
            "image_type": "llm",
            "vram_required_mb": 0,
            "gpu_count": 1,
            "compute_type": "inference",
            "pricing_class": "standard",
        },
        gpu_requirements=None,
        priority=2,
        pricing_class=accepted.pricing_class,
        prewarm_requested=False,
        checkpoint_enabled=False,
        task_spec=None,
        env_vars={},
        requirement=Requirement(job_type="llm_inference"),
    )
    assert accepted.pricing_class == "standard"


def test_the_documented_example() -> None:
    accepted = order(
        container_spec={"image_type": "vllm-serve"},
        params={"model": "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "prompt": "اكتب بيتين عن البحر"},
        max_duration_seconds=180,
        provider_id=1,
    )
    assert list(accepted.container_spec.items()) == [
        ("image_type", "vllm-serve"),
        ("vram_required_mb", 0),
        ("gpu_count", 1),
        ("compute_type", "inference"),
        ("pricing_class", "standard"),
    ]
    assert accepted.model == "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
    assert accepted.requirement.model == "tinyllama/tinyllama-1.1b-chat-v1.0"
    assert accepted.requirement.named_provider_id == 1


@pytest.mark.parametrize(
    ("job_type", "image_type", "compute_type"),
    [
        ("llm-inference", "llm", "inference"),
        ("vllm_serve", "vllm-serve", "inference"),
        ("training", "training", "training"),
        ("rendering", "rendering", "rendering"),
        ("image_generation", "image_generation", "rendering"),
        ("rag-pipeline", "rag-pipeline", "inference"),
        ("benchmark", "benchmark", "inference"),
        ("custom_container", "custom_container", "inference"),
    ],
)
def test_default_container_specs(job_type: str, image_type: str, compute_type: str) -> None:
    spec = order(job_type=job_type, model="a/b", params={**PROMPT, "command": "id"}).container_spec
    assert (spec["image_type"], spec["compute_type"]) == (image_type, compute_type)


def test_a_sent_spec_keeps_its_keys() -> None:
    accepted = order(
        container_spec={
            "image_type": "x",
            "gpu_count": "2",
            "vram_required_mb": 8192.0,
            "compute_type": None,
            "enable_checkpoint": True,
            "pricing_class": "economy",
            "image": "docker.io/library/busybox",
            "volume": None,
        }
    )
    assert accepted.container_spec == {
        "image_type": "x",
        "vram_required_mb": 8192,
        "gpu_count": 2,
        "compute_type": "inference",
        "enable_checkpoint": True,
        "pricing_class": "economy",
        "image": "docker.io/library/busybox",
        "volume": None,
    }
    assert accepted.checkpoint_enabled
    assert accepted.pricing_class == "economy"
    assert accepted.requirement == Requirement(job_type="llm_inference", gpu_count=2, min_vram_gb=8)


def test_the_pricing_class_beside_the_spec_wins() -> None:
    accepted = order(pricing_class="priority", container_spec={"image_type": "x", "pricing_class": "economy"})
    assert accepted.pricing_class == accepted.container_spec["pricing_class"] == "priority"


@pytest.mark.parametrize(("sent", "priority"), [(None, 2), (1, 1), ("1", 1), (3.0, 3), ("", 2)])
def test_priority_is_a_number_or_a_numeric_string(sent: Any, priority: int) -> None:
    assert order(priority=sent).priority == priority


@pytest.mark.parametrize("sent", [5, 0, 1.5, "high", True, [1]])
def test_other_priorities_are_refused(sent: Any) -> None:
    assert refusal(priority=sent).message == "Invalid priority. Allowed: 1, 2, 3"


@pytest.mark.parametrize(
    ("inside", "beside", "effective"),
    [
        (None, None, None),
        (None, 80.0, {"min_vram_gb": 80}),
        ({"min_vram_gb": 80, "note": "x"}, 24.0, {"min_vram_gb": 80, "note": "x"}),
        ({"min_vram_gb": "16"}, 24.0, {"min_vram_gb": 24}),
        ({"gpu_type": "rtx 4090"}, None, {"gpu_type": "rtx 4090"}),
        ({}, None, {}),
    ],
)
def test_the_larger_vram_minimum_counts(
    inside: JsonObject | None, beside: float | None, effective: JsonObject | None
) -> None:
    accepted = order(gpu_requirements=inside, min_vram_gb=beside)
    assert accepted.gpu_requirements == effective
    assert accepted.requirement.min_vram_gb == (effective or {}).get("min_vram_gb")


def test_a_requested_gpu_type_is_made_canonical() -> None:
    assert order(gpu_requirements={"gpu_type": "rtx 4090"}).requirement.gpu_type == "RTX4090"


def test_params_model_wins() -> None:
    assert order(model="a/b", params={**PROMPT, "model": "c/d"}).model == "c/d"
    assert order(model="a/b", params={**PROMPT, "model": None}).model == "a/b"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"params": {"model": "no spaces allowed"}}, "params.model"),
        ({"params": {"model": 7}}, "params.model"),
        ({"params": {"prompt": "x" * 300_000}}, "params"),
        ({"gpu_requirements": {"min_vram_gb": 0}}, "gpu_requirements.min_vram_gb"),
        ({"gpu_requirements": {"min_vram_gb": "much"}}, "gpu_requirements.min_vram_gb"),
        ({"gpu_requirements": {"gpu_type": 4090}}, "gpu_requirements.gpu_type"),
        ({"task_spec": [1]}, "task_spec"),
    ],
)
def test_violations_inside_free_objects(changes: dict[str, Any], field: str) -> None:
    error = refusal(**changes)
    assert error.code == "VALIDATION_FAILED"
    assert [violation.field for violation in error.fields] == [field]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "container_spec.image_type is required"),
        ({"image_type": " "}, "container_spec.image_type is required"),
        ({"image_type": "x" * 121}, "container_spec.image_type must be a string of at most 120 characters"),
        ({"image_type": "x", "gpu_count": 65}, "container_spec.gpu_count must be an integer between 1 and 64"),
        ({"image_type": "x", "gpu_count": 1.5}, "container_spec.gpu_count must be an integer between 1 and 64"),
        (
            {"image_type": "x", "vram_required_mb": -1},
            "container_spec.vram_required_mb must be a number between 0 and 1048576",
        ),
        (
            {"image_type": "x", "compute_type": "mining"},
            "container_spec.compute_type must be one of: inference, training, rendering",
        ),
        ({"image_type": "x", "enable_checkpoint": "yes"}, "container_spec.enable_checkpoint must be a boolean"),
        ({"image_type": "x", "image": ["a"]}, "container_spec.image must be a string"),
        ({"image_type": "x", "image": "evil/image"}, "container_spec.image is not approved"),
        ({"image_type": "x", "image_override": "evil/image"}, "container_spec.image_override is not approved"),
    ],
)
def test_container_spec_refusals(spec: JsonObject, text: str) -> None:
    assert refusal(container_spec=spec).message == text


@pytest.mark.parametrize("image", ["evil/image:latest", ["evil/image"], {"name": "evil"}])
def test_an_image_override_must_be_approved(image: Any) -> None:
    error = refusal(job_type="custom_container", params={"image_override": image})
    assert (error.message, error.code) == ("params.image_override is not approved", "IMAGE_NOT_APPROVED")


@pytest.mark.parametrize(
    ("params", "env_vars", "weak"),
    [
        ({"script_type": "jupyter"}, {}, True),
        ({"script_type": "jupyter"}, {"NOTEBOOK_TOKEN": "Password"}, True),
        ({"script_type": "jupyter", "notebook_token": "dc1jupyter"}, {}, True),
        ({"script_type": "jupyter"}, {"NOTEBOOK_TOKEN": "k3q9"}, False),
        ({"script_type": "python"}, {}, False),
    ],
)
def test_notebook_tokens(params: JsonObject, env_vars: dict[str, str], weak: bool) -> None:
    if weak:
        assert refusal(params=params, env_vars=env_vars).code == "WEAK_NOTEBOOK_TOKEN"
    else:
        assert order(params={**PROMPT, **params}, env_vars=env_vars).params == {**PROMPT, **params}


def test_refusals_come_in_the_documented_order() -> None:
    wrong: dict[str, Any] = {
        "job_type": "mining",
        "pricing_class": "gold",
        "priority": 5,
        "gpu_requirements": {"gpu_type": "GT710"},
        "params": {"script_type": "jupyter", "image_override": "evil/image"},
        "task_spec": "print(1)",
        "container_spec": {},
    }
    seen = []
    for field, right in [
        ("job_type", "training"),
        ("pricing_class", "standard"),
        ("priority", 1),
        ("gpu_requirements", None),
        ("params", {"image_override": "evil/image"}),
        ("task_spec", None),
        ("container_spec", None),
    ]:
        seen.append(refusal(**wrong).message.split(". ")[0])
        wrong[field] = right
    seen.append(refusal(**wrong).message)
    assert seen == [
        "Invalid job_type",
        "Invalid pricing_class",
        "Invalid priority",
        "Invalid gpu_requirements.gpu_type 'GT710'",
        "NOTEBOOK_TOKEN must be a unique, non-default value",
        "Raw Python task_spec is not allowed",
        "container_spec.image_type is required",
        "params.image_override is not approved",
    ]


def test_the_short_form_prepays_its_deadline() -> None:
    assert expand_short_form("docker.io/library/busybox", ["echo", "hi"]) == ShortForm(
        job_type=JobType.CUSTOM_CONTAINER,
        duration_minutes=30,
        container_spec={
            "image_type": "custom_container",
            "image": "docker.io/library/busybox",
            "job_cmd": ["echo", "hi"],
        },
    )
    assert "job_cmd" not in expand_short_form("docker.io/library/busybox").container_spec
    short = expand_short_form("a/b", "true", 90, {"image_type": "tool", "gpu_count": 2})
    assert short.duration_minutes == 1.5
    assert short.container_spec == {"image_type": "tool", "gpu_count": 2, "image": "a/b", "job_cmd": "true"}


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("busybox:1", "docker.io/library/busybox:1"),
        ("library/busybox:1", "docker.io/library/busybox:1"),
        ("team/tool", "docker.io/team/tool"),
        ("own/tool", "own/tool"),
        ("ghcr.io/a/b", "ghcr.io/a/b"),
    ],
)
def test_short_image_names(sent: str, named: str) -> None:
    approved = {"docker.io/library/busybox:1", "docker.io/team/tool", "docker.io/own/tool", "own/tool", "ghcr.io/a/b"}
    spec: JsonObject = {"image_type": "custom", "image": sent, "image_override": None}
    assert accept(replace(J3, container_spec=spec), approved).container_spec["image"] == named


def test_a_stored_job_asks_for_the_same_again() -> None:
    accepted = order(
        provider_id=4,
        model="A/b",
        container_spec={"image_type": "x", "gpu_count": 2, "vram_required_mb": 40_960},
        gpu_requirements={"min_vram_gb": 23.5, "gpu_type": "h100"},
    )
    again = Requirement.of_order(
        accepted.job_type, accepted.model, accepted.container_spec, accepted.gpu_requirements, named_provider_id=4
    )
    assert again == accepted.requirement
    assert hash(again) == hash(accepted.requirement)
    assert again.min_vram_gb == 40


@pytest.mark.parametrize(
    ("view", "changes", "body"),
    [
        (None, {}, {"error": "Provider not found", "code": "NOT_FOUND"}),
        (
            replace(ONLINE, status=ProviderStatus.PAUSED),
            {"min_vram_gb": 80.0},
            {"error": "Provider is not online", "code": "INVALID_ARGUMENT", "provider_status": "paused"},
        ),
        (
            replace(ONLINE, approval=Approval.PENDING),
            {},
            {"error": "Provider is not online", "code": "INVALID_ARGUMENT", "provider_status": "pending"},
        ),
        (
            ONLINE,
            {"min_vram_gb": 80.0},
            {
                "error": "Provider does not meet GPU requirements",
                "code": "INVALID_ARGUMENT",
                "required_vram_gb": 80,
                "provider_vram_gb": 24,
            },
        ),
        (
            ONLINE,
            {"gpu_requirements": {"gpu_type": "H100"}},
            {
                "error": "Provider does not meet GPU requirements",
                "code": "INVALID_ARGUMENT",
                "required_gpu_type": "H100",
                "provider_gpu_model": "NVIDIA GeForce RTX 4090",
            },
        ),
        (
            ONLINE,
            {"model": "other/Model-7B"},
            {"error": "Provider does not serve model 'other/Model-7B'", "code": "MODEL_NOT_SERVED"},
        ),
    ],
)
def test_named_providers_that_cannot_run_the_job(
    view: ProviderView | None, changes: dict[str, Any], body: JsonObject
) -> None:
    accepted = order(provider_id=1, **changes)
    with pytest.raises(ApiError) as caught:
        check_named_provider(view, accepted.requirement, accepted.model)
    assert caught.value.body() == body


@pytest.mark.parametrize("changes", [{}, {"min_vram_gb": 24.0}, {"model": "TinyLlama/TinyLlama-1.1B-Chat-v1.0"}])
def test_a_busy_named_provider_is_no_error(changes: dict[str, Any]) -> None:
    accepted = order(provider_id=1, **changes)
    check_named_provider(replace(ONLINE, occupied=1), accepted.requirement, accepted.model)
