"""Heartbeats: the shape they must have, and what the rules read of them."""

from google.protobuf.struct_pb2 import Value

from dc1.domain.base.json_types import MAX_FREE_JSON_BYTES, JsonObject
from dc1.domain.errors import gpu_info_not_object, gpu_status_not_object
from dc1.domain.providers.reports import Report, read_report
from dc1.services.api.values import from_value
from dcp.v1.report_pb2 import HeartbeatRequest

_CREDENTIAL = "api_key"
_ABSENT = (None, "null_value")
_MOST_GROWTH = 29
"""Characters of JSON for one byte of a message: a number takes 11 in a list, and may have 309 digits and a comma."""

_NEVER_OVERSIZED_BYTES = MAX_FREE_JSON_BYTES // _MOST_GROWTH


def report_of(request: HeartbeatRequest) -> Report:
    """Read a heartbeat, as `read_report` does."""
    # Writing all of a report as JSON to see how long it is took as long as everything else that is read of it.
    return read_report(_body(request), is_small=request.ByteSize() <= _NEVER_OVERSIZED_BYTES)


def _body(request: HeartbeatRequest) -> JsonObject:
    """Return the heartbeat's fields that were sent, as the JSON they came from."""
    # Only what was sent: an absent field leaves what is stored (contract 2.2). A key in the body must not be stored
    # with it.
    sent = {field.name: value for field, value in request.ListFields() if field.name != _CREDENTIAL}
    return {name: from_value(value) if isinstance(value, Value) else value for name, value in sent.items()}


def check_heartbeat(request: HeartbeatRequest) -> None:
    """Refuse a `gpu_status` that is neither object nor string and a `gpu_info` that is no object.

    Null counts as absent.

    Raises:
        gpu_status_not_object: The `gpu_status` is neither.
        gpu_info_not_object: The `gpu_info` is none.
    """
    if _kind(request.gpu_status) not in (*_ABSENT, "struct_value", "string_value"):
        raise gpu_status_not_object()
    if _kind(request.gpu_info) not in (*_ABSENT, "struct_value"):
        raise gpu_info_not_object()


def _kind(value: Value) -> str | None:
    return value.WhichOneof("kind")
