"""Errors of submitting, running and reading jobs."""

from collections.abc import Iterable

from dc1.domain.errors.base import ApiError
from dc1.domain.errors.codes import ErrorCode

DOCUMENTS_ERASED = "The job ended long ago, and only its bill is kept"


def invalid_gpu_type(value: str, allowed: Iterable[str]) -> ApiError:
    """Say that `gpu_requirements.gpu_type` names no GPU of the market."""
    text = f"Invalid gpu_requirements.gpu_type '{value}'. Allowed values: {', '.join(allowed)}"
    return ApiError(400, text, ErrorCode.INVALID_GPU_TYPE)


def weak_notebook_token() -> ApiError:
    """Say that a notebook would run with no token or with a well-known one."""
    return ApiError(400, "NOTEBOOK_TOKEN must be a unique, non-default value", ErrorCode.WEAK_NOTEBOOK_TOKEN)


def raw_task_spec() -> ApiError:
    """Say that `task_spec` is a string."""
    return ApiError(400, "Raw Python task_spec is not allowed")


def image_type_required() -> ApiError:
    """Say that a container spec was sent without its image type."""
    return container_spec_invalid("image_type", "is required")


def container_spec_invalid(field: str, rule: str) -> ApiError:
    """Say that a field of the container spec breaks its `rule`, which completes the sentence that `field` begins."""
    return ApiError(400, f"container_spec.{field} {rule}")


def image_not_approved(field: str) -> ApiError:
    """Say that the image named by the dotted `field` is not in the registry."""
    return ApiError(400, f"{field} is not approved", ErrorCode.IMAGE_NOT_APPROVED)


def template_not_found() -> ApiError:
    """Say that no ready-made job has that id."""
    return ApiError(404, "Template not found")


def image_not_found() -> ApiError:
    """Say that no approved image has this id."""
    return ApiError(404, "Image not found")


def provider_not_online(provider_status: str) -> ApiError:
    """Say that the named provider is not bookable; `provider_status` says why."""
    return ApiError(400, "Provider is not online", context={"provider_status": provider_status})


def named_provider_too_dear(rate_halala_per_minute: float) -> ApiError:
    """Say that a minute on the named provider costs more than the job may cost."""
    return ApiError(
        400,
        "Provider costs more than max_rate_halala_per_minute",
        context={"rate_halala_per_minute": rate_halala_per_minute},
    )


# One text for all that a GPU may lack, as the contract has it: the context tells which it was.
_UNMET_GPU = "Provider does not meet GPU requirements"


def provider_lacks_vram(required_vram_gb: float, provider_vram_gb: int) -> ApiError:
    """Say that the named provider has less VRAM than the job needs."""
    return ApiError(
        400, _UNMET_GPU, context={"required_vram_gb": required_vram_gb, "provider_vram_gb": provider_vram_gb}
    )


def provider_lacks_gpu_type(required_gpu_type: str, provider_gpu_model: str | None) -> ApiError:
    """Say that the named provider has another GPU than the job needs."""
    return ApiError(
        400, _UNMET_GPU, context={"required_gpu_type": required_gpu_type, "provider_gpu_model": provider_gpu_model}
    )


def model_not_served(model: str) -> ApiError:
    """Say that the named provider has models, and this one is not among them."""
    return ApiError(400, f"Provider does not serve model '{model}'", ErrorCode.MODEL_NOT_SERVED)


def job_not_found() -> ApiError:
    """Say that no job has this id."""
    return ApiError(404, "Job not found")


def documents_erased() -> ApiError:
    """Say that what was sent with the job is not kept any more."""
    return ApiError(410, DOCUMENTS_ERASED)


def cannot_cancel(status: str) -> ApiError:
    """Say that the job has ended and cannot be cancelled."""
    return ApiError(400, f"Cannot cancel job with status: {status}", context={"current_status": status})


def cannot_complete(status: str) -> ApiError:
    """Say that only a running job can be ended as completed."""
    return ApiError(400, "Job is not running", context={"current_status": status})


def only_failed_retried(status: str) -> ApiError:
    """Say that only a failed job can be retried."""
    return ApiError(400, "Only failed jobs can be retried", context={"current_status": status})


def job_not_running(status: str) -> ApiError:
    """Say that a daemon reports on a job that does not run."""
    return ApiError(409, "Job is not running", context={"current_status": status})


def attempt_superseded(current_attempt: int) -> ApiError:
    """Say that the daemon's attempt was given up and the job lives on with `current_attempt`."""
    return ApiError(409, "Attempt superseded", ErrorCode.LEASE_SUPERSEDED, context={"attempt_number": current_attempt})


def job_already_settled(status: str, job_id: str) -> ApiError:
    """Say that the job has ended with `status`; nothing about it changes any more."""
    return ApiError(
        409, "Job already settled", ErrorCode.JOB_SETTLED, context={"current_status": status, "job_id": job_id}
    )


def job_not_settled() -> ApiError:
    """Say that an invoice exists only once the job is settled."""
    return ApiError(409, "Job is not settled")


def result_or_error_required() -> ApiError:
    """Say that a daemon ended a run without a result or an error."""
    return ApiError(400, "result or error is required")


def invalid_reported_duration(max_duration_seconds: int) -> ApiError:
    """Say that the reported time is not a number of seconds within the job's run deadline."""
    text = f"duration_seconds must be a finite number between 0 and {max_duration_seconds}"
    return ApiError(400, text)


def endpoint_not_serving() -> ApiError:
    """Say that only a running vllm_serve job has an endpoint."""
    return ApiError(409, "Job is not a running vllm_serve job")


def output_format_unavailable(requested: str) -> ApiError:
    """Say that the output exists, but not in the `requested` image format."""
    return ApiError(400, f"Output is not available as {requested}")
