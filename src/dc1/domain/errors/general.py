"""Errors that any route may answer with."""

from collections.abc import Iterable

from dc1.domain.errors.base import ApiError, FieldViolation
from dc1.domain.errors.codes import ErrorCode


def malformed_json() -> ApiError:
    """Say that the body is not a JSON object in UTF-8."""
    return ApiError(400, "Malformed JSON body", ErrorCode.MALFORMED_JSON)


def missing_fields(names: Iterable[str]) -> ApiError:
    """Say that required fields are absent, null or blank; `names` come in documented order."""
    return ApiError(400, f"Missing required fields: {', '.join(names)}", ErrorCode.MISSING_FIELDS)


def validation_failed(violations: Iterable[FieldViolation]) -> ApiError:
    """Say that fields have a wrong type, length or range."""
    return ApiError(400, "Validation failed", ErrorCode.VALIDATION_FAILED, fields=violations)


def invalid_field(field: str, message: str) -> ApiError:
    """Say that one field has a wrong type, length or range."""
    return validation_failed([FieldViolation(field, message)])


def invalid_enum(field: str, allowed: Iterable[str]) -> ApiError:
    """Say that a field holds none of its allowed values, which are named in documented order."""
    return ApiError(400, f"Invalid {field}. Allowed: {', '.join(allowed)}", ErrorCode.INVALID_ENUM)


def file_not_found() -> ApiError:
    """Say that the console has no such file."""
    return ApiError(404, "File not found")


def request_body_too_large() -> ApiError:
    """Say that the body is over the route's limit."""
    return ApiError(413, "Request body too large")


def rate_limit_exceeded(retry_after_seconds: int) -> ApiError:
    """Say that a rate-limit bucket is empty; it has room again after `retry_after_seconds`."""
    return ApiError(429, "Rate limit exceeded", retry_after_seconds=retry_after_seconds)


def internal_error(text: str = "Internal error") -> ApiError:
    """Say that something unexpected happened and left no effect behind; some routes have their own `text`."""
    return ApiError(500, text)


def service_unavailable(retry_after_seconds: int | None = None) -> ApiError:
    """Say that the service process is not reachable or not ready, or gives all it has to others for so long."""
    text, code = "Service unavailable", ErrorCode.UPSTREAM_UNAVAILABLE
    return ApiError(503, text, code, retry_after_seconds=retry_after_seconds)


def database_unavailable() -> ApiError:
    """Say that the database does not answer; the health route says so."""
    return ApiError(503, "Database does not answer", context={"status": "degraded"})


def database_unwritable(reason: str) -> ApiError:
    """Say that the database takes no writes now and why; nothing was stored."""
    context = {"status": "degraded", "reason": reason}
    return ApiError(503, "Database cannot be written", context=context, retry_after_seconds=10)


def outcome_unknown() -> ApiError:
    """Say that the database was lost while it stored the effect, and that nobody knows whether it has."""
    context = {"status": "degraded", "reason": "outcome_unknown"}
    return ApiError(503, "It is not known whether this was done", context=context, retry_after_seconds=10)


def idempotency_key_too_long() -> ApiError:
    """Say that the Idempotency-Key has more than 255 characters."""
    return ApiError(400, "Idempotency-Key must be at most 255 characters")


def idempotency_mismatch() -> ApiError:
    """Say that the Idempotency-Key belongs to an earlier request with another body."""
    text = "Idempotency-Key was already used with a different request"
    return ApiError(409, text, ErrorCode.IDEMPOTENCY_MISMATCH, grpc="ALREADY_EXISTS")


def idempotency_in_progress(retry_after_seconds: int | None = None) -> ApiError:
    """Say that the first request with this Idempotency-Key has not been answered yet."""
    text = "A request with this Idempotency-Key is in progress"
    return ApiError(409, text, ErrorCode.IDEMPOTENCY_IN_PROGRESS, retry_after_seconds=retry_after_seconds)
