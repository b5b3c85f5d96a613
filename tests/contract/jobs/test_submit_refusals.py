"""Submissions that are refused change nothing (contract 2.3; 7, vectors 23 to 29)."""

from collections.abc import Iterator

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json, Rest
from tests.contract import quiet
from tests.contract.expect import answered, fields, refused

JOB_TYPES = (
    "image_generation, llm-inference, llm_inference, rendering, training, benchmark, custom_container, vllm_serve, "
    "rag-pipeline"
)


market, renter, provider = quiet.market, quiet.renter, quiet.provider


@pytest.fixture(autouse=True)
def nothing_changes(renter: Renter, provider: PollDaemon, admin: Admin) -> Iterator[None]:
    """Balance, jobs and totals are after each test what they were before."""
    before = (renter.wallet(), admin.finance(), _counts(admin))
    yield
    assert (renter.wallet(), admin.finance(), _counts(admin)) == before


def _counts(admin: Admin) -> Json:
    return {name: value for name, value in admin.stats().items() if name.endswith(("jobs", "halala", "renters"))}


def test_a_submission_needs_a_renters_key(rest: Rest, provider: PollDaemon) -> None:
    """Contract 7, vector 23."""
    text = "Renter API key required (x-renter-key header or renter_key query)"
    refused(rest.post("/jobs/submit", J3), 401, text)
    refused(rest.post("/jobs/submit", J3, headers={"x-renter-key": "bad"}), 403, "Invalid or inactive renter API key")
    refused(rest.post("/jobs/submit", J3, headers={"x-renter-key": provider.key}), 401, code="WRONG_KEY_TYPE")


def test_missing_fields_are_named_in_documented_order(renter: Renter) -> None:
    """Contract 7, vector 24."""
    text = "Missing required fields: job_type, duration_minutes"
    refused(renter.post("/jobs/submit", {}), 400, text, code="MISSING_FIELDS")
    text = "Missing required fields: duration_minutes"
    refused(renter.post("/jobs/submit", {"job_type": "training"}), 400, text)
    text = "Missing required fields: params.prompt"
    for params in (None, {"prompt": " "}):
        refused(renter.try_submit(params=params), 400, text, code="MISSING_FIELDS")
    text = "Missing required fields: params.model"
    refused(renter.try_submit(job_type="vllm_serve"), 400, text, code="MISSING_FIELDS")
    text = "Missing required fields: container_spec.image"
    container: Json = {"job_type": "custom_container", "duration_minutes": 5}
    refused(renter.post("/jobs/submit", container), 400, text, code="MISSING_FIELDS")


def test_a_job_type_is_one_of_nine(renter: Renter) -> None:
    """Contract 7, vector 25."""
    response = renter.try_submit(job_type="mining")
    refused(response, 400, f"Invalid job_type. Allowed: {JOB_TYPES}", code="INVALID_ENUM")


@pytest.mark.parametrize("minutes", [-5, 0, 10_081, 0.09, 1e308])
def test_minutes_have_a_range(renter: Renter, minutes: float) -> None:
    """Contract 7, vector 26."""
    body = refused(renter.try_submit(duration_minutes=minutes), 400, "Validation failed", code="VALIDATION_FAILED")
    assert fields(body)[0] == "duration_minutes"


def test_classes_priorities_and_deadlines_have_lists_and_ranges(renter: Renter) -> None:
    """Contract 7, vector 27."""
    text = "Invalid pricing_class. Allowed: priority, standard, economy"
    refused(renter.try_submit(pricing_class="gold"), 400, text, code="INVALID_ENUM")
    refused(renter.try_submit(priority=5), 400, "Invalid priority. Allowed: 1, 2, 3", code="INVALID_ENUM")
    for seconds in (59, 604_801):
        body = refused(renter.try_submit(max_duration_seconds=seconds), 400, "Validation failed")
        assert fields(body) == ["max_duration_seconds"]


def test_gpu_type_container_and_image_are_checked(renter: Renter) -> None:
    """Contract 7, vector 28."""
    refused(renter.try_submit(gpu_requirements={"gpu_type": "GT710"}), 400, code="INVALID_GPU_TYPE")
    refused(renter.try_submit(container_spec={}), 400, "container_spec.image_type is required")
    response = renter.try_submit(job_type="custom_container", params={"image_override": "evil/image:latest"})
    refused(response, 400, "params.image_override is not approved", code="IMAGE_NOT_APPROVED")


def test_a_named_provider_must_be_there(renter: Renter, provider: PollDaemon) -> None:
    """Contract 7, vector 29."""
    refused(renter.try_submit(provider_id=999999), 404, "Provider not found")
    answered(provider.post("/providers/pause"))
    refused(renter.try_submit(provider_id=1), 400, "Provider is not online", provider_status="paused")
    answered(provider.post("/providers/resume"))


def test_the_text_of_a_bad_gpu_type(renter: Renter) -> None:
    refused(
        renter.try_submit(gpu_requirements={"gpu_type": "GT710"}),
        400,
        "Invalid gpu_requirements.gpu_type 'GT710'. Allowed values: H200, H100, A100, L40S, L40, RTX4090, RTX4080, "
        "RTX3090, RTX3080, A10080GB, A10040GB, B200, RTX5090, A6000, L4, V100, T4, RTX3060",
    )


def test_a_gpu_type_that_the_named_provider_has_not(renter: Renter) -> None:
    refused(
        renter.try_submit(provider_id=1, gpu_requirements={"gpu_type": "h-100"}),
        400,
        "Provider does not meet GPU requirements",
        required_gpu_type="H100",
        provider_gpu_model="NVIDIA GeForce RTX 4090",
    )


@pytest.mark.parametrize("token", [None, "", "jupyter", "password", "token", "dc1jupyter"])
def test_a_notebook_needs_a_token_of_its_own(renter: Renter, token: str | None) -> None:
    env = {} if token is None else {"NOTEBOOK_TOKEN": token}
    response = renter.try_submit(params={**J3["params"], "script_type": "jupyter"}, env_vars=env)
    text = "NOTEBOOK_TOKEN must be a unique, non-default value"
    refused(response, 400, text, code="WEAK_NOTEBOOK_TOKEN")


def test_raw_code_is_not_run(renter: Renter) -> None:
    refused(renter.try_submit(task_spec="import os"), 400, "Raw Python task_spec is not allowed")


@pytest.mark.parametrize(
    "spec",
    [
        {"gpu_count": 0},
        {"gpu_count": 65},
        {"gpu_count": 1.5},
        {"gpu_count": "many"},
        {"vram_required_mb": -1},
        {"vram_required_mb": 1048577},
        {"compute_type": "mining"},
        {"enable_checkpoint": "maybe"},
        {"image_type": "x" * 121},
        {"image_type": ""},
        {"image_type": None},
        {"image_type": 5},
    ],
)
def test_container_specs_have_rules(renter: Renter, spec: Json) -> None:
    body = refused(renter.try_submit(container_spec={"image_type": "llm", **spec}), 400)
    name = next(iter(spec))
    assert f"container_spec.{name}" in str(body)


@pytest.mark.parametrize("place", ["image", "image_override"])
def test_images_come_from_the_registry(renter: Renter, place: str) -> None:
    response = renter.try_submit(
        job_type="custom_container", container_spec={"image_type": "custom", place: "evil/image:latest"}
    )
    refused(response, 400, f"container_spec.{place} is not approved", code="IMAGE_NOT_APPROVED")


@pytest.mark.parametrize("value", ["soon", [3], {"a": 1}, True, "NaN", "Infinity", "-Infinity"])
def test_minutes_of_a_wrong_type(renter: Renter, value: object) -> None:
    body = refused(renter.try_submit(duration_minutes=value), 400)
    assert body["error"] in ("Validation failed", "Malformed JSON body")


@pytest.mark.parametrize(
    "change",
    [
        {"job_type": 5},
        {"job_type": {"name": "training"}},
        {"provider_id": "one"},
        {"provider_id": 1.5},
        {"provider_id": 99999999999999999999},
        {"max_duration_seconds": 10.5},
        {"max_duration_seconds": -600},
        {"max_duration_seconds": 1e30},
        {"params": "text"},
        {"params": [1]},
        {"model": 7},
        {"model": "has space"},
        {"model": "x" * 257},
        {"container_spec": "docker"},
        {"gpu_requirements": [1]},
        {"gpu_requirements": {"min_vram_gb": 0}},
        {"gpu_requirements": {"min_vram_gb": -8}},
        {"gpu_requirements": {"min_vram_gb": "big"}},
        {"min_vram_gb": 0},
        {"min_vram_gb": -1},
        {"priority": 0},
        {"priority": 1.5},
        {"priority": "first"},
        {"priority": [1]},
        {"pricing_class": 5},
        {"prewarm_requested": "maybe"},
        {"task_spec": [1]},
        {"env_vars": ["A=1"]},
        {"env_vars": {"A": {"b": 1}}},
        {"env_vars": {"NVIDIA_VISIBLE_DEVICES": "all"}},
        {"env_vars": {"LD_PRELOAD": "/tmp/mine.so"}},
        {"params": {"prompt": "x" * 300_000}},
        {"task_spec": {"code": "x" * 300_000}},
    ],
)
def test_wrong_types_and_numbers_out_of_range(renter: Renter, change: Json) -> None:
    refused(renter.try_submit(**change), 400)


@pytest.mark.parametrize(("state", "shown"), [("offline", "offline"), ("pending", "pending"), ("rejected", "rejected")])
def test_a_named_provider_that_cannot_be_booked(market: LocalMarket, renter: Renter, state: str, shown: str) -> None:
    if state == "offline":
        named = market.add_provider()
        market.advance(601, silent=[named])
    elif state == "pending":
        named = market.register_provider()
    else:
        named = market.add_provider()
        market.admin.patch(f"/admin/providers/{named.id}/reject", {"reason": "no"})
    response = renter.try_submit(provider_id=named.id)
    refused(response, 400, "Provider is not online", provider_status=shown)


@pytest.mark.parametrize("provider_id", [0, -1, "999999", 2147483647])
def test_ids_that_nobody_has(renter: Renter, provider_id: int | str) -> None:
    refused(renter.try_submit(provider_id=provider_id), 404, "Provider not found")


def test_the_checks_have_an_order(renter: Renter, rest: Rest) -> None:
    everything_wrong: Json = {
        "job_type": "mining",
        "duration_minutes": -5,
        "pricing_class": "gold",
        "gpu_requirements": {"gpu_type": "GT710"},
        "provider_id": 999999,
    }
    refused(rest.post("/jobs/submit", everything_wrong), 401)
    refused(renter.try_submit(everything_wrong), 400, "Validation failed")
    refused(renter.try_submit(everything_wrong, duration_minutes=1), 400, code="INVALID_ENUM")
    listed: Json = {"duration_minutes": 1, "job_type": "training"}
    refused(renter.try_submit(everything_wrong, **listed), 400, code="INVALID_ENUM")
    refused(renter.try_submit(everything_wrong, **listed, pricing_class="economy"), 400, code="INVALID_GPU_TYPE")


@pytest.mark.parametrize(
    ("body", "error", "named"),
    [
        ({"command": "ls"}, "Missing required fields: container_image", []),
        ({"container_image": ""}, "Missing required fields: container_image", []),
        ({"container_image": "evil/x:1"}, "container_image is not approved", []),
        ({"container_image": "no name!"}, "container_image is not approved", []),
        ({"container_image": "x" * 256}, "Validation failed", ["container_image"]),
        ({"container_image": "busybox:1.36", "command": 5}, "Validation failed", ["command"]),
        ({"container_image": "busybox:1.36", "max_duration_seconds": 5}, "Validation failed", ["max_duration_seconds"]),
        (
            {"container_image": "busybox:1.36", "max_duration_seconds": 9**9},
            "Validation failed",
            ["max_duration_seconds"],
        ),
        (
            {"container_image": "busybox:1.36", "max_duration_seconds": 700_000},
            "Validation failed",
            ["max_duration_seconds"],
        ),
    ],
)
def test_the_short_form_is_refused_in_its_own_words(renter: Renter, body: Json, error: str, named: list[str]) -> None:
    """Contract 8: its user knows neither `job_type` nor `duration_minutes` nor `container_spec`."""
    for path in ("/jobs/submit", "/jobs", "/jobs/estimate"):
        refusal = refused(renter.post(path, body), 400, error)
        assert [fault["field"] for fault in refusal.get("fields", [])] == named
