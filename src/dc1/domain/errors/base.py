"""The one exception that crosses layers, and how it becomes JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors.codes import ErrorCode, OpenAICode

GRPC_CODES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    # gRPC has no code for want of money: a top-up is the condition that the caller has to bring about.
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    # A conflict with the present state. Duplicates are 409 as well and say ALREADY_EXISTS themselves.
    409: "ABORTED",
    410: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that breaks its rule; `field` is a dotted name such as `container_spec.gpu_count`."""

    field: str
    message: str


class ApiError(Exception):
    """A refusal that the caller is told about.

    `status` is the HTTP status and `grpc` the name of the gRPC status code. `message` is the text of both, `code` its
    name where the contract gives one; `reason` is a name in any case. `context` holds further keys of the JSON body,
    `fields` the violations of a validation error, and `retry_after_seconds` the wait to suggest.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: ErrorCode | OpenAICode | None = None,
        *,
        grpc: str | None = None,
        fields: Iterable[FieldViolation] = (),
        context: Mapping[str, JsonValue] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        # A status that is not in the table is a mistake of ours and fails here, not when it is encoded.
        self.grpc = grpc or GRPC_CODES[status]
        self.message = message
        self.code = code
        self.fields = list(fields)
        self.context: JsonObject = dict(context or {})
        self.retry_after_seconds = retry_after_seconds

    @property
    def reason(self) -> str:
        """The code, or the name of the gRPC status where the contract gives the refusal no name of its own."""
        return self.code or self.grpc

    def body(self) -> JsonObject:
        """Return the JSON object of the answer: error, code, fields, then the context."""
        # In this order, which the contract documents and people read.
        body: JsonObject = {"error": self.message, "code": self.reason}
        if self.fields:
            body["fields"] = [{"field": item.field, "message": item.message} for item in self.fields]
        body.update(self.context)
        if self.retry_after_seconds is not None:
            body["retryAfterSeconds"] = self.retry_after_seconds
            body["retryAfterMs"] = self.retry_after_seconds * 1000
        return body
