"""What a call to a marketplace can end with, beside its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """A call came to nothing; its text is one sentence for a person."""


class ConfigurationError(ClientError):
    """An address, a key or a profile cannot be used; nothing was sent."""


class NoMarketplaceError(ClientError):
    """Something answered that is no marketplace."""


class MissingFieldError(NoMarketplaceError, KeyError):
    """An answer lacks what this version reads in it: the marketplace is an older one, or none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The answer has no {name!r}; is the marketplace older than this dc1?")

    def __str__(self) -> str:
        """Return the sentence itself, around which a KeyError would put quotes."""
        return str(self.args[0])


class ConnectionBrokenError(ClientError):
    """The connection broke or fell silent; the call may or may not have had its effect."""


class UnreachableError(ConnectionBrokenError):
    """No connection came about; the call had no effect."""


class WaitTimeoutError(ClientError):
    """A job had not ended when its waiter's time was over; the job goes on."""


class RefusedError(ClientError):
    """The service answered with an error.

    Attributes:
        status: the HTTP status, 400 to 599.
        code: the error's name, such as `INSUFFICIENT_BALANCE` or `NOT_FOUND`; None from older servers.
        request_id: what the server's log calls the call, for whoever is asked about it.
        body: the JSON object of the answer; where a proxy answered in the service's place, its `error` alone.
    """

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(_sentence(status, body))
        self.status = status
        self.body = body
        self.code: str | None = _inner(body).get("code") or body.get("code")
        self.request_id: str | None = (headers or {}).get("x-request-id")
        self._retry_after = (headers or {}).get("retry-after", "")

    @property
    def fields(self) -> dict[str, str]:
        """What is wrong with which field of the request."""
        return {str(one.get("field")): str(one.get("message")) for one in self.body.get("fields") or []}

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the server wants to be left alone; None where it does not say."""
        return float(self._retry_after) if self._retry_after.isascii() and self._retry_after.isdigit() else None


class InvalidRequestError(RefusedError):
    """The request is not one that can be done (400, 413 and what else is the caller's mistake)."""


class UnauthorizedError(RefusedError):
    """The key is missing, wrong or not valid any more (401)."""


class InsufficientBalanceError(RefusedError):
    """The wallet does not hold what it would cost (402)."""


class ForbiddenError(RefusedError):
    """The key is good, and may not do this (403)."""


class NotFoundError(RefusedError):
    """There is no such thing (404)."""


class ConflictError(RefusedError):
    """It is not possible as things stand now (409)."""


class GoneError(RefusedError):
    """There was such a thing, or there will never be: the output of a job that failed (410)."""


class RateLimitedError(RefusedError):
    """Too many calls, or a quota is used up (429)."""


class UnavailableError(RefusedError):
    """The server, or a provider behind it, cannot answer now (5xx)."""


_KINDS: Mapping[int, type[RefusedError]] = {
    401: UnauthorizedError,
    402: InsufficientBalanceError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    429: RateLimitedError,
}
# What every error has; all other keys are facts of the route, such as the balance that did not suffice.
_NOT_CONTEXT = frozenset({"error", "code", "fields", "retryAfterMs"})


def refusal(status: int, body: dict[str, Any], headers: Mapping[str, str]) -> RefusedError:
    """Return the error of an answer, of the class that its status has."""
    kind = _KINDS.get(status, UnavailableError if status >= 500 else InvalidRequestError)
    return kind(status, body, headers)


def _inner(body: Mapping[str, Any]) -> Mapping[str, Any]:
    # Paths under /v1 have the envelope of OpenAI's API, in which the error is an object.
    error = body.get("error")
    return error if isinstance(error, dict) else {}


def _sentence(status: int, body: dict[str, Any]) -> str:
    text = str(_inner(body).get("message") or body.get("error") or "The service gave no reason").rstrip(".")
    fields = [f"{field.get('field')}: {field.get('message')}" for field in body.get("fields") or []]
    context = [
        f"{key} {value}" for key, value in body.items() if key not in _NOT_CONTEXT and isinstance(value, int | str)
    ]
    details = "; ".join(fields or context)
    return f"{text} (HTTP {status}; {details})." if details else f"{text} (HTTP {status})."
