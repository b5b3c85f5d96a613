"""Submissions as the rules read them."""

from buf.validate import validate_pb2
from dc1.domain import errors
from dc1.domain.base.json_types import JsonValue
from dc1.domain.base.numeric import as_integer
from dc1.domain.jobs.states import CONTAINER_TYPES
from dc1.domain.jobs.submission import SubmitBody, expand_short_form
from dc1.services.api.values import from_struct, from_value, to_struct
from dcp.v1.job_submission_pb2 import SubmitJobRequest

_DEADLINE = SubmitJobRequest.DESCRIPTOR.fields_by_name["max_duration_seconds"]


def _expand(request: SubmitJobRequest) -> None:
    """Fill in what a body with `container_image` stands for; without a `command` the image's own is run."""
    command = from_value(request.command)
    if not request.container_image:
        is_short = command is not None or request.HasField("container_image")
        if is_short and not request.job_type and not request.HasField("duration_minutes"):
            # Who writes the short form knows none of the fields that the long one would miss.
            raise errors.missing_fields(["container_image"])
        return
    if request.job_type:
        # Where no image is run it was never asked for its approval.
        if command is not None or request.job_type in CONTAINER_TYPES:
            _name_container(request, command)
        return
    # Old clients send this short form (contract 8).
    seconds = request.max_duration_seconds if _has_good_deadline(request) else None
    spec = from_struct(request.container_spec) if request.HasField("container_spec") else None
    form = expand_short_form(request.container_image, command, seconds, spec)
    request.job_type = form.job_type
    request.container_spec.CopyFrom(to_struct(form.container_spec))
    if not request.HasField("duration_minutes"):
        request.duration_minutes = form.duration_minutes


def _has_good_deadline(request: SubmitJobRequest) -> bool:
    # One that is refused makes no minutes, which would be refused beside it.
    rule = _DEADLINE.GetOptions().Extensions[validate_pb2.field].int32
    return request.HasField("max_duration_seconds") and rule.gte <= request.max_duration_seconds <= rule.lte


def _name_container(request: SubmitJobRequest, command: JsonValue) -> None:
    """Take image and command into the container's spec; what that names itself counts."""
    spec = from_struct(request.container_spec) if request.HasField("container_spec") else None
    if spec is not None and any(spec.get(name) for name in ("image", "image_override")):
        return
    form = expand_short_form(request.container_image, command, None, spec)
    # Of the type that is said, where the spec says none.
    sent = {**form.container_spec, "image_type": (spec or {}).get("image_type") or request.job_type}
    request.container_spec.CopyFrom(to_struct(sent))


def normalise(request: SubmitJobRequest) -> None:
    """Bring what may be said in several ways into one form, so that equal submissions are equal messages."""
    # Clients send `"1"` as well as 1 (contract 8). What is no number stays, for the rules to name it.
    priority = as_integer(from_value(request.priority)) if request.HasField("priority") else None
    if priority is not None:
        request.priority.number_value = priority
    _expand(request)


def submit_body(request: SubmitJobRequest) -> SubmitBody:
    """Return a submission whose field rules hold."""
    return SubmitBody(
        job_type=request.job_type,
        duration_minutes=request.duration_minutes,
        provider_id=request.provider_id if request.HasField("provider_id") else None,
        max_duration_seconds=request.max_duration_seconds if request.HasField("max_duration_seconds") else None,
        params=from_struct(request.params) if request.HasField("params") else None,
        model=request.model or None,
        container_spec=from_struct(request.container_spec) if request.HasField("container_spec") else None,
        gpu_requirements=from_struct(request.gpu_requirements) if request.HasField("gpu_requirements") else None,
        min_vram_gb=request.min_vram_gb if request.HasField("min_vram_gb") else None,
        priority=from_value(request.priority),
        pricing_class=request.pricing_class or None,
        prewarm_requested=request.prewarm_requested,
        task_spec=from_value(request.task_spec),
        env_vars=dict(request.env_vars),
        max_rate_halala_per_minute=(
            request.max_rate_halala_per_minute if request.HasField("max_rate_halala_per_minute") else None
        ),
        prefer=request.prefer or None,
        short_form=_is_short_form(request),
    )


def _is_short_form(request: SubmitJobRequest) -> bool:
    spec = from_struct(request.container_spec) if request.HasField("container_spec") else {}
    return bool(request.container_image) and spec.get("image") == request.container_image
