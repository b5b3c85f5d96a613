"""Container specs: checks of what was sent, approval of the images it names, and the defaults."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_integer, as_number, plain
from dc1.domain.errors import container_spec_invalid, image_not_approved, image_type_required
from dc1.domain.jobs.images import approved_as, pull_name
from dc1.domain.jobs.states import COMPUTE_TYPES, CONTAINER_TYPES, ComputeType, JobType

MAX_IMAGE_TYPE = 120
MAX_GPU_COUNT = 64
MAX_VRAM_MB = 1_048_576
_IMAGE_KEYS = ("image", "image_override")
_OVERRIDE_KEYS = ("image_override",)
_IMAGE_REGISTRY = "docker.io/library/"


def check_container_spec(spec: JsonObject | None) -> None:
    """Check the documented keys of a sent spec, in their order; None is no spec.

    Raises:
        container_spec_invalid: a key breaks its rule; an image type that is missing has an error of its own.
    """
    if spec is None:
        return
    _check_image_type(spec.get("image_type"))
    for name, rule, holds in (
        ("gpu_count", f"must be an integer between 1 and {MAX_GPU_COUNT}", _is_gpu_count),
        ("vram_required_mb", f"must be a number between 0 and {MAX_VRAM_MB}", _is_vram),
        ("compute_type", f"must be one of: {', '.join(COMPUTE_TYPES)}", _is_compute_type),
        ("enable_checkpoint", "must be a boolean", _is_boolean),
        ("image", "must be a string", _is_text),
        ("image_override", "must be a string", _is_text),
    ):
        value = spec.get(name)
        if value is not None and not holds(value):
            raise container_spec_invalid(name, rule)


def _check_image_type(value: JsonValue) -> None:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise image_type_required()
    if not isinstance(value, str) or len(value) > MAX_IMAGE_TYPE:
        raise container_spec_invalid("image_type", f"must be a string of at most {MAX_IMAGE_TYPE} characters")


def _is_gpu_count(value: JsonValue) -> bool:
    count = as_integer(value)
    return count is not None and 1 <= count <= MAX_GPU_COUNT


def _is_vram(value: JsonValue) -> bool:
    vram = as_number(value)
    return vram is not None and 0 <= vram <= MAX_VRAM_MB


def _is_compute_type(value: JsonValue) -> bool:
    return value in COMPUTE_TYPES


def _is_boolean(value: JsonValue) -> bool:
    return isinstance(value, bool)


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def with_approved_images(spec: JsonObject | None, approved: Collection[str]) -> JsonObject | None:
    """Return a spec whose images are named as they were approved, with their digests, however they were sent.

    A template's image may be sent as the type of image, and is that image then.
    """
    if spec is None:
        return None
    names = _approved_names(spec, _IMAGE_KEYS, approved)
    # A bare word is a type, though an image may have that name as well.
    image_type = str(spec.get("image_type"))
    if not names and set(":/") & set(image_type) and (image := approved_as(image_type, approved)) is not None:
        names = {"image": image}
    return {**spec, **names}


def with_approved_override(params: JsonObject | None, approved: Collection[str]) -> JsonObject | None:
    """Return params whose image is named as it was approved and is pulled; daemons take it before the spec's."""
    if params is None:
        return None
    names = _approved_names(params, _OVERRIDE_KEYS, approved)
    return {**params, **{name: pull_name(image) for name, image in names.items()}}


def pinned_images(spec: JsonObject, params: JsonObject, approved: Collection[str]) -> tuple[JsonObject, JsonObject]:
    """Return spec and params with the names by which approved images are pulled.

    A job that was submitted before its image was pinned names the tag still, and what that is by now nobody approved.
    """
    named = ((spec, _IMAGE_KEYS), (params, _OVERRIDE_KEYS))
    pinned_spec, pinned_params = (
        {**source, **{name: pull_name(image) for name, image in _approved_names(source, keys, approved).items()}}
        for source, keys in named
    )
    return pinned_spec, pinned_params


def _approved_names(source: JsonObject, names: Collection[str], approved: Collection[str]) -> dict[str, str]:
    sent = {name: image for name in names if isinstance(image := source.get(name), str) and image}
    return {name: known for name, image in sent.items() if (known := approved_as(image, approved)) is not None}


def approve_images(
    spec: JsonObject | None,
    params: JsonObject | None,
    approved: Collection[str],
    image_field: str = "container_spec.image",
) -> None:
    """Check that every image that is named is `approved`, in whatever spelling; `image_field` said the spec's.

    Raises:
        image_not_approved: the first that is not.
    """
    for prefix, source, names in (
        ("container_spec", spec or {}, _IMAGE_KEYS),
        ("params", params or {}, _OVERRIDE_KEYS),
    ):
        for name in names:
            image = source.get(name)
            if image in (None, ""):
                continue
            if not isinstance(image, str) or approved_as(image, approved) is None:
                raise image_not_approved(
                    image_field if source is spec and name == _IMAGE_KEYS[0] else f"{prefix}.{name}"
                )


_IMAGE_TYPES = {
    JobType.LLM_INFERENCE: "llm",
    JobType.LLM_INFERENCE_DASHED: "llm",
    JobType.VLLM_SERVE: "vllm-serve",
}
_COMPUTE_TYPES = {
    JobType.TRAINING: ComputeType.TRAINING,
    JobType.RENDERING: ComputeType.RENDERING,
    JobType.IMAGE_GENERATION: ComputeType.RENDERING,
}


def effective_container_spec(job_type: JobType, sent: JsonObject | None, pricing_class: str) -> JsonObject:
    """Return the container spec with its defaults filled in; keys that were sent keep their values.

    `sent` has passed `check_container_spec`. `pricing_class` is the one the job is billed by, so it replaces one that
    was sent inside the spec.
    """
    spec: JsonObject = {
        "image_type": _IMAGE_TYPES.get(job_type, job_type.value),
        "vram_required_mb": 0,
        "gpu_count": 1,
        "compute_type": _COMPUTE_TYPES.get(job_type, ComputeType.INFERENCE).value,
    }
    # A null stands for the default, and only unknown keys keep it.
    spec.update({key: value for key, value in (sent or {}).items() if value is not None or key not in spec})
    for name in ("vram_required_mb", "gpu_count"):
        spec[name] = plain(as_number(spec[name]) or Decimal(0))
    return {**spec, "pricing_class": pricing_class}


_DEFAULT_IMAGES = {"llm": "vllm-serve"}
_DEFAULT_IMAGE_TYPE = "pytorch"
_PIDS_LIMIT = 512
_MOST_MEMORY_MB = 1_048_576
_MOST_CPUS = 1024
_BRIDGE, _NO_NETWORK = "bridge", "none"


def daemon_container_spec(spec: JsonObject) -> JsonObject:
    """Return what a daemon may know of a job's container: documented keys, with values that their rules allow.

    Everything else that a renter sent stays in the job for the renter to read. A daemon may hand whatever it is given
    to its engine, and there `privileged`, `network_mode` or `binds` would be the owner's machine.
    """
    return {name: value for name, rule in _HANDED_OUT.items() if (value := rule(spec.get(name))) is not None}


def streamed_container_spec(
    job_type: str, spec: JsonObject, params: JsonObject | None, images: Mapping[str, str]
) -> JsonObject:
    """Return the spec as daemons on the stream read it, with the image to run for a container that names none.

    `images` has an approved image for each image type, as they are now: one may have been withdrawn since.
    """
    documented = daemon_container_spec(spec)
    if job_type not in CONTAINER_TYPES or _named_image(documented, params):
        return documented
    image = default_image(spec.get("image_type"), images)
    return {**documented, "image": pull_name(image)} if image else documented


def handed_out_container_spec(
    job_type: str, spec: JsonObject, params: JsonObject | None, images: Mapping[str, str]
) -> JsonObject:
    """Return the spec as daemons that poll read it, with the image to run, its command, its network and a limit named.

    `images` has an approved image for each image type. What a daemon may know of the job's own spec is kept.
    """
    documented = daemon_container_spec(spec)
    # Never the type itself, which is a free text of the renter's: only what is named was checked for its approval.
    image = pull_name(_named_image(documented, params) or default_image(spec.get("image_type"), images))
    command = ordered_command(documented, params)
    for name in ("image_override", "command"):
        documented.pop(name, None)
    return {
        "pids_limit": _PIDS_LIMIT,
        **documented,
        # A served model has to be reached; nothing else needs a network, so it gets none. Whatever the renter asks for:
        # these daemons have no switch by which their owner could say no.
        "network": _BRIDGE if job_type == JobType.VLLM_SERVE else _NO_NETWORK,
        "image": image if "/" in image or not image else _IMAGE_REGISTRY + image,
        "job_cmd": command or "",
    }


def ordered_command(spec: JsonObject, params: JsonObject | None) -> JsonValue:
    """Return the command that is to be run, None for the image's own."""
    commands = (spec.get("job_cmd"), spec.get("command"), (params or {}).get("command"))
    return next((command for command in map(_command, commands) if command), None)


def named_images(spec: JsonObject | None, params: JsonObject | None) -> tuple[JsonValue, ...]:
    """Return what stands wherever an image can be named, blank ones too; the first that is none is run."""
    spec = spec or {}
    return (params or {}).get("image_override"), spec.get("image_override"), spec.get("image")


def _named_image(spec: JsonObject, params: JsonObject | None) -> str:
    return next((str(image) for image in named_images(spec, params) if image), "")


def scripted_limits(handed_out: JsonObject, job_cmd: str) -> JsonObject:
    """Return what differs where the daemon runs a script: how it is started, and memory in the engine's words."""
    memory_mb = handed_out.get("memory_mb")
    bound: JsonObject = {} if not isinstance(memory_mb, int | float) else {"memory": f"{int(memory_mb)}m"}
    return {**bound, "job_cmd": job_cmd}


def default_image(image_type: JsonValue, images: Mapping[str, str]) -> str:
    """Return the approved image that is run for one that is not named, empty when there is none."""
    # A spec always has its type; one that could not be read any more names no image, so that nothing else is run.
    if not isinstance(image_type, str):
        return ""
    return images.get(_DEFAULT_IMAGES.get(image_type, image_type)) or images.get(_DEFAULT_IMAGE_TYPE) or ""


def _text(value: JsonValue) -> JsonValue:
    return value if isinstance(value, str) else None


def _network(value: JsonValue) -> JsonValue:
    return value if value in (_BRIDGE, _NO_NETWORK) else None


def _image(value: JsonValue) -> JsonValue:
    return pull_name(value) if isinstance(value, str) else None


def _flag(value: JsonValue) -> JsonValue:
    return value if isinstance(value, bool) else None


def _amount(value: JsonValue) -> JsonValue:
    number = as_number(value)
    return None if number is None else plain(number)


def _command(value: JsonValue) -> JsonValue:
    words = value if isinstance(value, list) else [value]
    return value if words and all(isinstance(word, str) for word in words) else None


def _at_most(most: int, *, whole: bool = False) -> Callable[[JsonValue], JsonValue]:
    """Return a rule for a bound that a job sets itself: positive, and lowered to `most`."""

    def bound(value: JsonValue) -> JsonValue:
        number = as_integer(value) if whole else as_number(value)
        return plain(min(Decimal(number), Decimal(most))) if number is not None and number > 0 else None

    return bound


# A rule returns the value as daemons get it, or None for one that is not for them.
_HANDED_OUT: Mapping[str, Callable[[JsonValue], JsonValue]] = {
    "image_type": _text,
    "vram_required_mb": _amount,
    "gpu_count": _amount,
    "compute_type": _text,
    "enable_checkpoint": _flag,
    "pricing_class": _text,
    "image": _image,
    "image_override": _image,
    "job_cmd": _command,
    "command": _command,
    "memory_mb": _at_most(_MOST_MEMORY_MB),
    "cpus": _at_most(_MOST_CPUS),
    "network": _network,
    "pids_limit": _at_most(_PIDS_LIMIT, whole=True),
}
