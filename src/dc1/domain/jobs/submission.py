"""The rules of a job submission that no single field can state, in the documented order."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Self

from dc1 import defaults
from dc1.domain import errors
from dc1.domain.access.call_limits import KeyLimits
from dc1.domain.base.json_types import JsonObject, JsonValue, is_oversized
from dc1.domain.base.numeric import Number, as_integer, as_number, exact, plain
from dc1.domain.errors import ApiError, FieldViolation
from dc1.domain.jobs.container_spec import (
    approve_images,
    check_container_spec,
    default_image,
    effective_container_spec,
    named_images,
    ordered_command,
    with_approved_images,
    with_approved_override,
)
from dc1.domain.jobs.environment import refused_variables
from dc1.domain.jobs.images import needs_cuda
from dc1.domain.jobs.placement import ProviderView, Requirement, has_gpu_type, has_vram, serves_model, vram_gb
from dc1.domain.jobs.states import (
    ANSWERING_TYPES,
    CONTAINER_TYPES,
    JOB_TYPES,
    JobType,
    prepaid_seconds,
    run_deadline_seconds,
)
from dc1.domain.jobs.tasks import daemon_tasks
from dc1.domain.jobs.tasks.daemon_tasks import Ordered
from dc1.domain.money.pricing import PRICING_CLASSES, PricingClass
from dc1.domain.providers.hardware import GPU_TYPES, requested_gpu_type
from dc1.domain.providers.liveness import status_in_error

_SHORT_FORM_SECONDS = 1800
"""What the short form prepays when it says no time."""

DEFAULT_PRIORITY = 2
PRIORITIES = (1, 2, 3)
PREFERS_PRICE = "price"
PREFERENCES = ("reputation", PREFERS_PRICE)
"""What goes before the other where machines differ in both."""

_MODEL = re.compile(r"[A-Za-z0-9_.\-/:@]{1,256}")
_NAME_SHOWN = 64
_VARIABLES_SHOWN = 10
_TYPES_SHOWN = 50
_WEAK_TOKENS = frozenset({"dc1jupyter", "jupyter", "password", "token"})


@dataclass(frozen=True, slots=True)
class SubmitBody:
    """A submission as it was sent, with the types and ranges of its plain fields already checked."""

    job_type: str
    duration_minutes: Number
    provider_id: int | None = None
    max_duration_seconds: int | None = None
    params: JsonObject | None = None
    model: str | None = None
    container_spec: JsonObject | None = None
    gpu_requirements: JsonObject | None = None
    min_vram_gb: Number | None = None
    priority: JsonValue = None
    pricing_class: str | None = None
    prewarm_requested: bool = False
    task_spec: JsonValue = None
    env_vars: Mapping[str, str] = field(default_factory=dict)
    max_rate_halala_per_minute: Number | None = None
    prefer: str | None = None
    short_form: bool = False


@dataclass(frozen=True, slots=True)
class JobOrder:
    """An acceptable submission with every default filled in."""

    job_type: JobType
    duration_minutes: Decimal
    max_duration_seconds: int
    params: JsonObject | None
    model: str | None
    container_spec: JsonObject
    gpu_requirements: JsonObject | None
    priority: int
    pricing_class: PricingClass
    prewarm_requested: bool
    checkpoint_enabled: bool
    task_spec: JsonObject | None
    env_vars: Mapping[str, str]
    max_rate_halala_per_minute: Decimal | None
    requirement: Requirement

    def held_to(self, key: KeyLimits) -> Self:
        """Return the order as a key may give it; one for a model or a provider that it may not name is refused."""
        key.require_model(self.model)
        key.require_provider(self.requirement.named_provider_id)
        return replace(self, requirement=replace(self.requirement, choice=key.providers))


@dataclass(frozen=True, slots=True)
class ShortForm:
    """The submission that a body with only `container_image`, and maybe `command`, stands for."""

    job_type: JobType
    duration_minutes: float
    container_spec: JsonObject


def expand_short_form(
    container_image: str,
    command: JsonValue = None,
    max_duration_seconds: int | None = None,
    container_spec: JsonObject | None = None,
) -> ShortForm:
    """Return what a body with `container_image` and maybe `command`, but no `job_type`, stands for.

    It is a custom_container job that prepays its run deadline, or half an hour: `duration_minutes` is seconds / 60.

    Raises:
        invalid_field: the command is neither text nor a list of it.
    """
    words = command if isinstance(command, list) else [command]
    if command is not None and not all(isinstance(word, str) for word in words):
        raise errors.invalid_field("command", "must be a string or an array of strings")
    seconds = max_duration_seconds if max_duration_seconds is not None else _SHORT_FORM_SECONDS
    spec: JsonObject = {"image_type": JobType.CUSTOM_CONTAINER.value, **(container_spec or {})}
    spec |= {"image": container_image}
    if command is not None:
        spec["job_cmd"] = command
    return ShortForm(job_type=JobType.CUSTOM_CONTAINER, duration_minutes=seconds / 60, container_spec=spec)


def accept(
    body: SubmitBody,
    approved_images: Collection[str],
    gpu_types: Collection[str] = (),
    images_by_type: Mapping[str, str] = MappingProxyType({}),
    most_seconds: int = defaults.MAX_DURATION_SECONDS,
) -> JobOrder:
    """Return the job that a submission orders.

    `approved_images` are the references in the image registry, `gpu_types` what machines report beside the known
    models. `images_by_type` has an approved image for each image type, and `most_seconds` is how long this market lets
    jobs run. The first broken rule, in the order of the contract, is refused; those of a single field have checks of
    their own.

    Raises:
        validation_failed: free objects hold wrong types or ranges.
        raw_task_spec: the task is a string.
    """
    # In the contract's order, for clients are told of the first broken rule only.
    violations = _duration_violations(body, most_seconds) + _violations(body)
    if violations:
        raise errors.validation_failed(violations)
    job_type = _job_type(body.job_type)
    pricing_class = _pricing_class(body)
    priority = _priority(body.priority)
    prefers_price = _prefers_price(body.prefer)
    _check_gpu_type(body.gpu_requirements, gpu_types)
    _check_notebook_token(body)
    if isinstance(body.task_spec, str):
        raise errors.raw_task_spec()
    check_container_spec(body.container_spec)
    # By the name under which its user sent it.
    image_field = "container_image" if body.short_form else "container_spec.image"
    approve_images(body.container_spec, body.params, approved_images, image_field)
    _check_needs(job_type, body)
    sent_spec = with_approved_images(body.container_spec, approved_images)

    minutes = exact(body.duration_minutes)
    model = _model(body)
    container_spec = effective_container_spec(job_type, sent_spec, pricing_class)
    _check_image(job_type, body, container_spec, images_by_type)
    gpu_requirements = _effective_gpu_requirements(body)
    params = with_approved_override(body.params, approved_images)
    task_spec = body.task_spec if isinstance(body.task_spec, dict) else None
    max_duration_seconds = body.max_duration_seconds or prepaid_seconds(minutes)
    ordered = Ordered(job_type, model, container_spec, params, task_spec, body.env_vars)
    return JobOrder(
        job_type=job_type,
        duration_minutes=minutes,
        max_duration_seconds=max_duration_seconds,
        params=params,
        model=model,
        container_spec=container_spec,
        gpu_requirements=gpu_requirements,
        priority=priority,
        pricing_class=pricing_class,
        prewarm_requested=body.prewarm_requested,
        checkpoint_enabled=container_spec.get("enable_checkpoint") is True,
        task_spec=task_spec,
        env_vars=body.env_vars,
        max_rate_halala_per_minute=None
        if body.max_rate_halala_per_minute is None
        else exact(body.max_rate_halala_per_minute),
        requirement=replace(
            Requirement.of_order(job_type, model, container_spec, gpu_requirements, body.provider_id),
            prefers_price=prefers_price,
            needs_gpu=_needs_gpu(container_spec, body.params or {}, gpu_requirements or {}),
            task_obstacle=daemon_tasks.obstacle(ordered, run_deadline_seconds(max_duration_seconds, minutes)),
        ),
    )


def _duration_violations(body: SubmitBody, most_seconds: int) -> list[FieldViolation]:
    """Return what is too long for this market, whose limit the protos' own rules cannot know."""
    found = []
    runs_too_long = body.max_duration_seconds is not None and body.max_duration_seconds > most_seconds
    # As minutes that are sent: a third of one more is no second more, but it is money. The short form makes them of the
    # seconds, which are named.
    if exact(body.duration_minutes) * 60 > most_seconds and not (body.short_form and runs_too_long):
        most_minutes = plain(Decimal(most_seconds) / 60)
        found.append(FieldViolation("duration_minutes", f"must be at most {most_minutes}"))
    if runs_too_long:
        found.append(FieldViolation("max_duration_seconds", f"must be at most {most_seconds}"))
    return found


def _needs_gpu(spec: JsonObject, params: JsonObject, gpu_requirements: JsonObject) -> bool:
    """Tell whether an order names CUDA, by an image of it or by a requirement that only GPUs have."""
    images = (spec.get("image_type"), *named_images(spec, params))
    required = (name.lower() for name, value in gpu_requirements.items() if value not in (None, False, ""))
    return any(map(needs_cuda, images)) or any("cuda" in name or name == "compute_capability" for name in required)


def _violations(body: SubmitBody) -> list[FieldViolation]:
    """Return the wrong types and ranges inside the free objects of a submission."""
    free = {
        "params": body.params,
        "container_spec": body.container_spec,
        "gpu_requirements": body.gpu_requirements,
        "task_spec": body.task_spec,
    }
    found = [FieldViolation(name, "must be at most 256 KiB of JSON") for name in free if is_oversized(free[name])]
    model = (body.params or {}).get("model")
    if not _is_blank(model) and not (isinstance(model, str) and _MODEL.fullmatch(model)):
        found.append(FieldViolation("params.model", "must be 1 to 256 letters, digits or _ . - / : @"))
    if not isinstance(body.task_spec, dict | str | None):
        found.append(FieldViolation("task_spec", "must be an object"))
    # A few are enough to see what is meant; a name may be as long as the whole body.
    found += [
        FieldViolation(f"env_vars.{name[:_NAME_SHOWN]}", "must not be set by a job")
        for name in refused_variables(body.env_vars)[:_VARIABLES_SHOWN]
    ]
    return found + _gpu_requirement_violations(body.gpu_requirements or {})


def _gpu_requirement_violations(requirements: JsonObject) -> list[FieldViolation]:
    found = []
    sent = requirements.get("min_vram_gb")
    minimum = as_number(sent)
    if sent is not None and (minimum is None or minimum <= 0):
        found.append(FieldViolation("gpu_requirements.min_vram_gb", "must be a number greater than 0"))
    if not isinstance(requirements.get("gpu_type"), str | None):
        found.append(FieldViolation("gpu_requirements.gpu_type", "must be a string"))
    return found


def _is_blank(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _job_type(name: str) -> JobType:
    if name not in JOB_TYPES:
        raise errors.invalid_enum("job_type", JOB_TYPES)
    return JobType(name)


def _check_needs(job_type: JobType, body: SubmitBody) -> None:
    """Refuse an order that says too little to be run: no provider could do it, and none is to be blamed for it."""
    params = body.params or {}
    has_prompt = not _is_blank(params.get("prompt"))
    if job_type in ANSWERING_TYPES and not has_prompt and not params.get("messages"):
        raise errors.missing_fields(["params.prompt"])
    # An image of the renter's own may know by itself what to draw.
    if job_type is JobType.IMAGE_GENERATION and not has_prompt and not _has_image(body.container_spec, body.params):
        raise errors.missing_fields(["params.prompt"])
    if job_type is JobType.VLLM_SERVE and _model(body) is None:
        raise errors.missing_fields(["params.model"])


def _check_image(
    job_type: JobType, body: SubmitBody, container_spec: JsonObject, images_by_type: Mapping[str, str]
) -> None:
    """Refuse a container for which there is no image, or nothing to be done in the one that stands in for it."""
    if job_type not in CONTAINER_TYPES or _has_image(container_spec, body.params):
        return
    image_type = container_spec["image_type"]
    # The image that stands in for any type does nothing by itself, while one of a type of its own was meant by it.
    says_what = image_type in images_by_type or ordered_command(container_spec, body.params) or body.task_spec
    if not default_image(image_type, images_by_type) or (job_type is JobType.CUSTOM_CONTAINER and not says_what):
        raise errors.missing_fields(["container_spec.image"])


def _has_image(spec: JsonObject | None, params: JsonObject | None) -> bool:
    return not all(_is_blank(name) for name in named_images(spec, params))


def _pricing_class(body: SubmitBody) -> PricingClass:
    sent: JsonValue = body.pricing_class
    if _is_blank(sent):
        sent = (body.container_spec or {}).get("pricing_class")
    if _is_blank(sent):
        return PricingClass.STANDARD
    if sent not in PRICING_CLASSES:
        raise errors.invalid_enum("pricing_class", PRICING_CLASSES)
    return PricingClass(sent)


def _priority(sent: JsonValue) -> int:
    if _is_blank(sent):
        return DEFAULT_PRIORITY
    priority = as_integer(sent)
    if priority not in PRIORITIES:
        raise errors.invalid_enum("priority", map(str, PRIORITIES))
    return priority


def _prefers_price(sent: str | None) -> bool:
    if _is_blank(sent):
        return False
    if sent not in PREFERENCES:
        raise errors.invalid_enum("prefer", PREFERENCES)
    return sent == PREFERS_PRICE


def _check_gpu_type(gpu_requirements: JsonObject | None, seen: Collection[str]) -> None:
    sent = (gpu_requirements or {}).get("gpu_type")
    if isinstance(sent, str) and sent.strip() and requested_gpu_type(sent, seen) is None:
        raise errors.invalid_gpu_type(sent, (*GPU_TYPES, *sorted(set(seen).difference(GPU_TYPES))[:_TYPES_SHOWN]))


def _check_notebook_token(body: SubmitBody) -> None:
    params = body.params or {}
    if params.get("script_type") != "jupyter":
        return
    carriers = (body.env_vars.get("NOTEBOOK_TOKEN"), params.get("NOTEBOOK_TOKEN"), params.get("notebook_token"))
    token = next((value for value in carriers if isinstance(value, str) and value.strip()), None)
    if token is None or token.strip().lower() in _WEAK_TOKENS:
        raise errors.weak_notebook_token()


def _model(body: SubmitBody) -> str | None:
    sent = (body.params or {}).get("model")
    if isinstance(sent, str) and sent.strip():
        return sent
    return body.model or None


def _effective_gpu_requirements(body: SubmitBody) -> JsonObject | None:
    """Return the requirements with the larger of both minimums, or None when nothing is required."""
    sent = body.gpu_requirements
    inside = as_number((sent or {}).get("min_vram_gb"))
    minimums = [minimum for minimum in (inside, body.min_vram_gb) if minimum is not None]
    if not minimums:
        return sent
    return {**(sent or {}), "min_vram_gb": plain(max(exact(minimum) for minimum in minimums))}


def check_named_provider(view: ProviderView | None, requirement: Requirement, model: str | None) -> None:
    """Raise the refusal of a named provider that cannot run the job; a busy one can, later.

    `view` is None for a provider that is unknown or deleted, and `model` is spelled as it was sent.
    """
    refusal = _refusal(view, requirement, model)
    if refusal is not None:
        raise refusal


def _refusal(view: ProviderView | None, requirement: Requirement, model: str | None) -> ApiError | None:
    if view is None:
        return errors.provider_not_found()
    # A provider that is only busy is no refusal: the job waits for it.
    if not view.bookable:
        return errors.provider_not_online(status_in_error(view.approval, view.status))
    if requirement.min_vram_gb is not None and not has_vram(view, requirement):
        # A GPU that is claimed and that no daemon has reported has none of it.
        return errors.provider_lacks_vram(requirement.min_vram_gb, vram_gb(view.vram_mib or 0) if view.has_gpu else 0)
    if not has_gpu_type(view, requirement):
        return errors.provider_lacks_gpu_type(requirement.gpu_type or "CUDA", view.gpu_model)
    if model is not None and not serves_model(view, requirement):
        return errors.model_not_served(model)
    return None
