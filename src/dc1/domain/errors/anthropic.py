"""Errors in the shape of Anthropic's API, which has their kinds by status alone."""

from collections.abc import Mapping

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors.base import ApiError
from dc1.domain.errors.openai import message_under_v1

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def anthropic_envelope(error: ApiError) -> JsonObject:
    """Return the body that an error has under /v1/messages."""
    # Statuses that are not listed are the request's fault.
    kind = _TYPES.get(error.status, "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message_under_v1(error)}}
