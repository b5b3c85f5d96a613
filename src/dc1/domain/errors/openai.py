"""Errors of /v1: those that only these paths have, and the envelope that every error has there."""

from collections.abc import Mapping

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors.base import ApiError

_RETRYABLE = (429, 503, 504)

_CODES: Mapping[str, str] = {
    "WRONG_KEY_TYPE": "wrong_key_type",
    "SCOPE_MISSING": "authentication_scope_missing",
    "ACCOUNT_SUSPENDED": "account_suspended",
    "ZERO_BALANCE": "billing_insufficient_balance",
    "INSUFFICIENT_BALANCE": "billing_insufficient_balance",
    "QUOTA_MONTHLY": "quota_exceeded",
}
"""What the market's codes are called under /v1."""

_CODE_OF_STATUS: Mapping[int, str] = {
    401: "authentication_invalid_key",
    403: "account_suspended",
    404: "not_found",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "provider_unavailable",
    504: "upstream_timeout",
}
"""The code of an error that has none of its own; other statuses are the request's fault."""


def authentication_required() -> ApiError:
    """A call under /v1 came without a key."""
    text = "Renter API key required (Authorization: Bearer or x-renter-key)"
    return ApiError(401, text, "authentication_required")


def authentication_invalid_key() -> ApiError:
    """The key of a call under /v1 is unknown, revoked or rotated away."""
    return ApiError(401, "Invalid API key", "authentication_invalid_key")


def authentication_key_expired() -> ApiError:
    """The key of a call under /v1 was good and has expired."""
    return ApiError(401, "API key has expired", "authentication_key_expired")


def model_not_found(model: str) -> ApiError:
    """No approved provider ever offered the model."""
    return ApiError(404, f"Model '{model}' does not exist", "model_not_found")


def model_not_offered(model: str) -> ApiError:
    """The model was offered once, and nobody offers it now."""
    return ApiError(503, f"No provider serves model '{model}' now", "model_not_served")


def no_capacity_available(model: str) -> ApiError:
    """Everybody who offers the model is busy."""
    return ApiError(503, f"Every provider of model '{model}' is busy", "no_capacity_available")


def provider_unavailable(reason: str) -> ApiError:
    """The provider that took the call did not answer it; `reason` is a sentence without its full stop."""
    return ApiError(503, reason, "provider_unavailable")


def completion_timeout() -> ApiError:
    """The answer took longer than a call may."""
    return ApiError(504, "The model took too long to answer", "upstream_timeout")


def call_not_retried() -> ApiError:
    """A /v1 call has nobody who waits for it any more, so it cannot be submitted anew."""
    return ApiError(400, "A /v1 call cannot be retried; send it again")


def openai_envelope(error: ApiError) -> JsonObject:
    """Return the body that an error has under /v1."""
    code = _code(error)
    detail: JsonObject = {
        "message": _message(error),
        "type": code,
        "code": code,
        "status": error.status,
        "retryable": error.status in _RETRYABLE,
    }
    if error.retry_after_seconds is not None:
        detail["retry_after_seconds"] = error.retry_after_seconds
        detail["retry_after_ms"] = error.retry_after_seconds * 1000
    return {"error": detail}


def _code(error: ApiError) -> str:
    # The market's own codes are in upper case.
    if error.code is not None and error.code.islower():
        return error.code
    return _CODES.get(error.code or "") or _CODE_OF_STATUS.get(error.status, "invalid_request_error")


def _message(error: ApiError) -> str:
    """Return the text, with the fields at fault in it: there is no other place for them."""
    faults = "; ".join(f"{fault.field} {fault.message}" for fault in error.fields)
    return f"{error.message}: {faults}" if faults else error.message
