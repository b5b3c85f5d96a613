"""Heartbeats as the rules read them."""

from google.protobuf.struct_pb2 import Value

from dc1.domain.base.json_types import JsonObject
from dc1.services.api.values import from_value
from dcp.v1.report_pb2 import HeartbeatRequest

_CREDENTIAL = "api_key"


def report_body(request: HeartbeatRequest) -> JsonObject:
    """Return the heartbeat's fields that were sent, as the JSON they came from."""
    sent = {field.name: value for field, value in request.ListFields() if field.name != _CREDENTIAL}
    return {name: from_value(value) if isinstance(value, Value) else value for name, value in sent.items()}
