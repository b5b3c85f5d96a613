"""What a test says of an answer."""

from typing import Any

import httpx

from dc1.testing.people import answered
from dc1.testing.rest import Json

__all__ = ["answered", "fields", "refused", "show"]


def refused(response: httpx.Response, status: int, error: str | None = None, **more: Any) -> Json:
    """The body of a refusal; `more` are keys that it must have, `code` among them."""
    body = answered(response, status)
    if error is not None:
        assert body["error"] == error
    assert show(body, *more) == more
    return body


def fields(body: Json) -> list[str]:
    """Names of the fields at fault."""
    faults = body["fields"]
    assert all(isinstance(fault["message"], str) and fault["message"] for fault in faults)
    return [fault["field"] for fault in faults]


def show(body: Json, *keys: str) -> Json:
    """Only these keys of a body; one that is missing fails."""
    return {key: body[key] for key in keys}
