"""How a refusal leaves the server: gRPC status, the REST body for the edge, and details for native callers."""

import json

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2

from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import ApiError, FieldViolation, openai_envelope
from dcp.v1 import error_pb2

# Metadata is limited to 8 KiB by default in gRPC's clients, and other headers need room too.
_BODY_BYTES = 6 * 1024
_TEXT_BYTES = 3 * 1024
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


def trailers(error: ApiError, *, is_rest: bool, in_openai_envelope: bool = False) -> _Metadata:
    """Return the trailing metadata that goes with the status."""
    metadata: list[tuple[str, str | bytes]] = [("x-http-status", str(error.status))]
    if error.retry_after_seconds is not None:
        metadata.append(("retry-after", str(error.retry_after_seconds)))
    # The edge knows no JSON of ours: it takes the whole body from this header.
    if is_rest:
        body = openai_envelope(error) if in_openai_envelope else error.body()
        metadata.append(("x-error-body", json.dumps(body, separators=(",", ":"))))
    else:
        metadata.append(("grpc-status-details-bin", _details(error)))
    return tuple(metadata)


def _details(error: ApiError) -> bytes:
    detail = error_pb2.ErrorDetail(
        code=error.code or "",
        http_status=error.status,
        fields=[error_pb2.FieldViolation(field=fault.field, message=fault.message) for fault in error.fields],
    )
    detail.context.update(error.context)
    packed = any_pb2.Any()
    packed.Pack(detail)
    code: int = status_code(error).value[0]
    return status_pb2.Status(code=code, message=error.message, details=[packed]).SerializeToString()


def _listed(fields: list[FieldViolation]) -> list[JsonObject]:
    return [{"field": fault.field, "message": fault.message} for fault in fields]


def _size(value: object) -> int:
    return len(json.dumps(value))
