"""A gRPC server behind the edge: speaks the methods of dcp.v1, answers as a test says and remembers what reached it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

import dcp.v1

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service
    for module in iter_modules(dcp.v1.__path__, "dcp.v1.")
    if module.name.endswith("_pb2")
    for service in import_module(module.name).DESCRIPTOR.services_by_name.values()
)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods
}
MEBIBYTE = 1024 * 1024
Behaviour = Callable[[Any, grpc.ServicerContext], Any]


@dataclass(frozen=True)
class Seen:
    """One call as the server saw it."""

    method: str
    metadata: dict[str, str]
    request: Any


class Upstream(grpc.GenericRpcHandler):
    """Answers with an empty message where a test says nothing else."""

    def __init__(self) -> None:
        self.calls: list[Seen] = []
        self.asked: list[Seen] = []
        self.judge: Behaviour | None = None
        self.behaviours: dict[str, Behaviour] = {}
        self.port = 0
        self._health = health.HealthServicer()
        self._server: grpc.Server | None = None

    @property
    def last(self) -> Seen:
        return self.calls[-1]

    def start(self) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(16),
            options=[("grpc.max_receive_message_length", 12 * MEBIBYTE), ("grpc.so_reuseport", 0)],
        )
        self._server.add_generic_rpc_handlers((self,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [service.full_name for service in SERVICES]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        self.serving(True)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()

    def serving(self, is_serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        self._health.set("", status.SERVING if is_serving else status.NOT_SERVING)

    def reset(self) -> None:
        self.calls.clear()
        self.asked.clear()
        self.judge = None
        self.behaviours.clear()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Find the handler of one call (the interface of grpc.GenericRpcHandler)."""
        method = METHODS.get(details.method)
        if method is None:
            return None
        headers = {name: value for name, value in details.invocation_metadata if isinstance(value, str)}
        if "x-admission" in headers:
            return grpc.unary_unary_rpc_method_handler(self._judge(method, headers))
        coding = {
            "request_deserializer": message_factory.GetMessageClass(method.input_type).FromString,
            "response_serializer": lambda answer: answer.SerializeToString(),
        }
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._many(method), **coding)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._many(method), **coding)
        return grpc.unary_unary_rpc_method_handler(self._one(method), **coding)

    def _judge(self, method: MethodDescriptor, headers: dict[str, str]) -> Behaviour:
        """Let everybody in, where no test says otherwise: the edge asks before it waits for a body."""

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.asked.append(Seen(method.name, headers, None))
            if self.judge is not None:
                self.judge(request, context)
            return b""

        return answer

    def _one(self, method: MethodDescriptor) -> Behaviour:
        empty = message_factory.GetMessageClass(method.output_type)

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            behaviour = self._note(method, request, context)
            return behaviour(request, context) if behaviour else empty()

        return answer

    def _many(self, method: MethodDescriptor) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            behaviour = self._note(method, request, context)
            yield from behaviour(request, context) if behaviour else ()

        return answer

    def _note(self, method: MethodDescriptor, request: Any, context: grpc.ServicerContext) -> Behaviour | None:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.calls.append(Seen(method.name, metadata, request))
        return self.behaviours.get(method.name)


def refusing(status: grpc.StatusCode, text: str, *trailers: tuple[str, str]) -> Behaviour:
    """Refuse as the server does: status and text, the REST form of both as trailing metadata."""

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(trailers)
        context.abort(status, text)

    return answer


def replying(message: Message, *headers: tuple[str, str]) -> Behaviour:
    """Succeed with `message` and initial metadata."""

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        context.send_initial_metadata(headers)
        return message

    return answer
