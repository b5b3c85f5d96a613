"""How a refusal leaves the server: gRPC status, the REST body for the edge, and details for native callers."""

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from dc1.domain.base.json_types import JsonObject
from dc1.domain.base.languages import ARABIC, preferred
from dc1.domain.errors import ApiError, FieldViolation
from dc1.domain.errors.arabic import in_arabic
from dcp.v1 import error_pb2

# Metadata is limited to 8 KiB by default in gRPC's clients, and other headers need room too.
_BODY_BYTES = 6 * 1024
_TEXT_BYTES = 3 * 1024
# A third more on the wire, where bytes travel as Base64.
_DETAILS_BYTES = 5 * 1024
_DOMAIN = "dc1"
_Metadata = tuple[tuple[str, str | bytes], ...]


def status_code(error: ApiError) -> grpc.StatusCode:
    """Return the gRPC status code of an error."""
    return grpc.StatusCode[error.grpc]


def fitted(error: ApiError) -> ApiError:
    """Return the error with its text and list of fields cut to what metadata can carry, about 6 KiB."""
    text, fields = error.message, error.fields
    while _size(text) > _TEXT_BYTES:
        # By characters, each of which JSON may write as twelve bytes; so the size is measured anew each time.
        text = text[: len(text) * 3 // 4]
    # One violation stays in any case: a refusal that names no field helps nobody.
    while len(fields) > 1 and _size(_listed(fields)) > _BODY_BYTES - _TEXT_BYTES:
        fields = fields[: len(fields) // 2]
    if text == error.message and len(fields) == len(error.fields):
        return error
    return ApiError(
        error.status,
        text,
        error.code,
        grpc=error.grpc,
        fields=fields,
        context=error.context,
        retry_after_seconds=error.retry_after_seconds,
    )


def trailers(
    error: ApiError, rest_body: Callable[[ApiError], JsonObject] | None, accept_language: str = ""
) -> _Metadata:
    """Return the trailing metadata that goes with the status; `rest_body` is None for a native caller.

    `accept_language` may add an Arabic text.
    """
    metadata: list[tuple[str, str | bytes]] = [("x-http-status", str(error.status))]
    if error.retry_after_seconds is not None:
        metadata.append(("retry-after", str(error.retry_after_seconds)))
    # The edge knows no JSON of ours: it takes the whole body from this header.
    if rest_body is not None:
        body = rest_body(error)
        if preferred(accept_language) == ARABIC:
            body = _with_arabic(body, in_arabic(error))
        metadata.append(("x-error-body", json.dumps(body, separators=(",", ":"))))
    else:
        metadata.append(("grpc-status-details-bin", _details(error)))
    return tuple(metadata)


def _with_arabic(body: JsonObject, text: str) -> JsonObject:
    """Return an error body with the Arabic text behind the English one, which is what clients match on."""
    said = body["error"]
    if isinstance(said, dict):
        return body | {"error": {**said, "message_ar": text}}
    return {"error": said, "message_ar": text} | body


def _details(error: ApiError) -> bytes:
    """Return the status with what it says in words of ours and in those that every gRPC client's library knows."""
    code: int = status_code(error).value[0]
    status = status_pb2.Status(code=code, message=error.message, details=[_packed(_own_detail(error))])
    for detail in _standard_details(error):
        status.details.append(_packed(detail))
        # All of it is in the first one: the same in other words is left out where the headers cannot carry both.
        if status.ByteSize() > _DETAILS_BYTES:
            del status.details[-1]
    return status.SerializeToString()


def _own_detail(error: ApiError) -> error_pb2.ErrorDetail:
    detail = error_pb2.ErrorDetail(
        code=error.reason,
        http_status=error.status,
        fields=[error_pb2.FieldViolation(field=fault.field, message=fault.message) for fault in error.fields],
    )
    detail.context.update(error.context)
    return detail


def _standard_details(error: ApiError) -> Iterator[Message]:
    facts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in error.context.items()}
    yield error_details_pb2.ErrorInfo(
        reason=error.reason, domain=_DOMAIN, metadata={**facts, "http_status": str(error.status)}
    )
    if error.retry_after_seconds is not None:
        yield error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_after_seconds))
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        violation = error_details_pb2.QuotaFailure.Violation(description=error.message)
        yield error_details_pb2.QuotaFailure(violations=[violation])
    if error.fields:
        faults = [
            error_details_pb2.BadRequest.FieldViolation(field=fault.field, description=fault.message)
            for fault in error.fields
        ]
        yield error_details_pb2.BadRequest(field_violations=faults)


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _listed(fields: list[FieldViolation]) -> list[JsonObject]:
    return [{"field": fault.field, "message": fault.message} for fault in fields]


def _size(value: object) -> int:
    return len(json.dumps(value))
