"""Reflection: what grpcurl and its like ask to learn of the services."""

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

_ALPHA, _V1 = "grpc.reflection.v1alpha", "grpc.reflection.v1"
_SERVICE = f"{_V1}.ServerReflection"
_METHOD = "ServerReflectionInfo"
_POOL = descriptor_pool.Default()


class _Servicer(reflection.aio.ReflectionServicer):
    """Finds methods by their names too, which the pool of descriptors does not: it knows their service."""

    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        service, _, method = fully_qualified_name.rpartition(".")
        try:
            is_method = method in _POOL.FindServiceByName(service).methods_by_name
        except KeyError:
            is_method = False
        symbol = service if is_method else fully_qualified_name
        return super()._file_containing_symbol(request, symbol)  # type: ignore[misc]


def enable_reflection(names: Sequence[str], server: grpc.aio.Server) -> None:
    """Answer reflection about the named services, in the version that tools ask for first and in the older one."""
    _describe_v1()
    servicer: Any = _Servicer([*names, reflection.SERVICE_NAME, _SERVICE])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in (reflection.SERVICE_NAME, _SERVICE):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {_METHOD: handler}),))


def _describe_v1() -> None:
    """Make the newer version known to the pool, as whoever lists the services asks of each what it is."""
    # Its messages are those of the older version, field by field, and Python has no code for it.
    file = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", _V1
    types = [field for message in file.message_type for field in message.field if field.type_name]
    for field in types:
        field.type_name = field.type_name.replace(_ALPHA, _V1)
    for method in (method for service in file.service for method in service.method):
        method.input_type = method.input_type.replace(_ALPHA, _V1)
        method.output_type = method.output_type.replace(_ALPHA, _V1)
    # The same again is no matter to the pool, and it is there once for all servers of a process.
    _POOL.AddSerializedFile(file.SerializeToString())
