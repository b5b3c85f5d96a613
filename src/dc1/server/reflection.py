"""Reflection: what grpcurl and its like ask to learn of the services."""

from collections.abc import Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

# Its messages are those of the older version, field by field, and Python has no code for it.
_V1 = "grpc.reflection.v1.ServerReflection"
_METHOD = "ServerReflectionInfo"


def enable_reflection(names: Sequence[str], server: grpc.aio.Server) -> None:
    """Answer reflection about the named services, in the version that tools ask for first and in the older one."""
    listed = [*names, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(listed, server)
    servicer: Any = reflection.aio.ReflectionServicer(listed)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_V1, {_METHOD: handler}),))
