"""Errors of /v1: those that only these paths have, and the envelope that every error has there."""

from collections.abc import Mapping, Sequence

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors.base import ApiError
from dc1.domain.errors.codes import ErrorCode, OpenAICode
from dc1.domain.errors.engine_refusals import BUSY, EngineRefusal

_BUSY_SECONDS = 1
"""What a caller is told to wait for engines that do not say how long they are busy."""

# What may go away by itself; a client that repeats any other call gets the same answer.
_RETRYABLE = (429, 503, 504)

_CODES: Mapping[ErrorCode, OpenAICode] = {
    ErrorCode.WRONG_KEY_TYPE: OpenAICode.WRONG_KEY_TYPE,
    ErrorCode.SCOPE_MISSING: OpenAICode.AUTHENTICATION_SCOPE_MISSING,
    ErrorCode.ACCOUNT_SUSPENDED: OpenAICode.ACCOUNT_SUSPENDED,
    ErrorCode.ZERO_BALANCE: OpenAICode.BILLING_INSUFFICIENT_BALANCE,
    ErrorCode.INSUFFICIENT_BALANCE: OpenAICode.BILLING_INSUFFICIENT_BALANCE,
    ErrorCode.QUOTA_MONTHLY: OpenAICode.QUOTA_EXCEEDED,
    ErrorCode.KEY_BUDGET: OpenAICode.QUOTA_EXCEEDED,
}
"""What the market's codes are called under /v1."""

_CODE_OF_STATUS: Mapping[int, OpenAICode] = {
    401: OpenAICode.AUTHENTICATION_INVALID_KEY,
    403: OpenAICode.ACCOUNT_SUSPENDED,
    404: OpenAICode.NOT_FOUND,
    429: OpenAICode.RATE_LIMIT_EXCEEDED,
    500: OpenAICode.INTERNAL_ERROR,
    503: OpenAICode.PROVIDER_UNAVAILABLE,
    504: OpenAICode.UPSTREAM_TIMEOUT,
}
"""The code of an error that has none of its own."""


def authentication_required() -> ApiError:
    """Say that a call under /v1 came without a key."""
    text = "Renter API key required (Authorization: Bearer, x-renter-key or x-api-key)"
    return ApiError(401, text, OpenAICode.AUTHENTICATION_REQUIRED)


def authentication_invalid_key() -> ApiError:
    """Say that the key of a call under /v1 is unknown, revoked or rotated away."""
    return ApiError(401, "Invalid API key", OpenAICode.AUTHENTICATION_INVALID_KEY)


def authentication_key_expired() -> ApiError:
    """Say that the key of a call under /v1 was good and has expired."""
    return ApiError(401, "API key has expired", OpenAICode.AUTHENTICATION_KEY_EXPIRED)


def model_not_found(model: str) -> ApiError:
    """Say that no approved provider ever offered the model."""
    return ApiError(404, f"Model '{model}' does not exist", OpenAICode.MODEL_NOT_FOUND)


def model_not_offered(model: str) -> ApiError:
    """Say that the model was offered once, and nobody offers it now."""
    # Not 404: a provider may offer it again any time, and 503 tells clients to try.
    return ApiError(503, f"No provider serves model '{model}' now", OpenAICode.MODEL_NOT_SERVED)


def no_allowed_provider(model: str) -> ApiError:
    """Say that the model is served by providers alone that the call or its key leaves out."""
    text = f"No provider that the call and its key allow serves model '{model}' now"
    return ApiError(503, text, OpenAICode.MODEL_NOT_SERVED)


def path_not_offered(model: str, path: str, paths: Sequence[str]) -> ApiError:
    """Say that who offers the model has not what the call asks of it; `paths` are those that it can be called on."""
    others = f"; it answers on {', '.join(paths)}" if paths else ""
    text = f"No provider of model '{model}' serves {path}{others}"
    return ApiError(400, text, OpenAICode.INVALID_REQUEST_ERROR)


def no_capacity_available(model: str) -> ApiError:
    """Say that everybody who offers the model is busy."""
    text = f"Every provider of model '{model}' is busy"
    return ApiError(503, text, OpenAICode.NO_CAPACITY_AVAILABLE, retry_after_seconds=_BUSY_SECONDS)


def provider_unavailable(reason: str) -> ApiError:
    """Say that the provider that took the call did not answer it; `reason` is a sentence without its full stop."""
    return ApiError(503, reason, OpenAICode.PROVIDER_UNAVAILABLE)


def completion_refused(reason: str, refusal: EngineRefusal | None) -> ApiError:
    """Say that the engine refused the call, for what stands in it or as it is busy; `reason` is the job's error."""
    if refusal is None:
        return ApiError(400, reason, OpenAICode.INVALID_REQUEST_ERROR)
    if refusal.status == BUSY:
        wait = refusal.retry_after_seconds or _BUSY_SECONDS
        return ApiError(BUSY, reason, OpenAICode.RATE_LIMIT_EXCEEDED, retry_after_seconds=wait)
    if refusal.is_too_long:
        # OpenAI says 400 of it, whatever this engine does.
        return ApiError(400, reason, OpenAICode.CONTEXT_LENGTH_EXCEEDED)
    # Sent again as it is, the call would be refused again: clients read that from the status.
    return ApiError(refusal.status, reason, OpenAICode.INVALID_REQUEST_ERROR)


def completion_timeout() -> ApiError:
    """Say that the answer took longer than a call may."""
    return ApiError(504, "The model took too long to answer", OpenAICode.UPSTREAM_TIMEOUT)


def call_not_retried() -> ApiError:
    """Say that a /v1 call has nobody who waits for it any more, so it cannot be submitted anew."""
    return ApiError(400, "A /v1 call cannot be retried; send it again")


def openai_envelope(error: ApiError) -> JsonObject:
    """Return the body that an error has under /v1."""
    code = _code(error)
    detail: JsonObject = {
        "message": message_under_v1(error),
        "type": code,
        "code": code,
        "status": error.status,
        "retryable": error.status in _RETRYABLE,
    }
    if error.retry_after_seconds is not None:
        detail["retry_after_seconds"] = error.retry_after_seconds
        detail["retry_after_ms"] = error.retry_after_seconds * 1000
    return {"error": detail}


def _code(error: ApiError) -> OpenAICode:
    if isinstance(error.code, OpenAICode):
        return error.code
    # Statuses that are not listed are the request's fault.
    of_status = _CODE_OF_STATUS.get(error.status, OpenAICode.INVALID_REQUEST_ERROR)
    return of_status if error.code is None else _CODES.get(error.code, of_status)


def message_under_v1(error: ApiError) -> str:
    """Return the text, with the fields at fault in it: there is no other place for them."""
    faults = "; ".join(f"{fault.field} {fault.message}" for fault in error.fields)
    return f"{error.message}: {faults}" if faults else error.message
