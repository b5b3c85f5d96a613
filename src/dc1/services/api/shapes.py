"""Shapes of request fields that are checked before the key is looked up."""

from collections.abc import Mapping

from google.protobuf.struct_pb2 import Value

from dc1.domain.errors import gpu_info_not_object, gpu_status_not_object
from dc1.services.api.call import MessageHook
from dcp.v1 import report_pb2

_ABSENT = (None, "null_value")


def check_heartbeat(request: report_pb2.HeartbeatRequest) -> None:
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


SHAPE_CHECKS: Mapping[str, MessageHook] = {"/dcp.v1.ProviderService/Heartbeat": check_heartbeat}
