"""Everybody who has no right to a call, and the calls that they make about the victims' objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from buf.validate import validate_pb2
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.services.api.values import to_value
from dc1.testing.rest import credential
from dc1.testing.server import ADMIN_TOKEN
from dcp.v1 import options_pb2
from tests.contract.access.victims import IBAN, World

MASTER = "master"


# What a request must say to get as far as the question whose object it is about.
PLAUSIBLE: Mapping[str, Any] = {
    "name": "Somebody",
    "email": "somebody@example.sa",
    "gpu_model": "RTX 4090",
    "os": "linux",
    "reason": "because",
    "model_name": "a/model",
    "image_ref": "docker.io/library/busybox:1.36",
    "iban": IBAN,
    "amount_halala": 1000,
    "rate_halala": 1,
    "confirm": "DELETE_MY_ACCOUNT",
    "phase": "generating",
    "port": 8080,
    "provider_ip": "8.8.8.8",
    "error": "no",
    "line": "one line",
    "job_type": "benchmark",
    "duration_minutes": 1,
    "success": True,
    "vram_gb": 24,
    "tflops": 80,
    "matrix_size": 128,
    "model": "a/model",
    "format": "png",
    "period": "30d",
    "once": True,
}
ALWAYS_SAID = {"provider_ip", "reason", "confirm", "error", "line", "monthly_budget_halala", "once"}


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and everything that came back."""

    code: grpc.StatusCode
    said: bytes


@dataclass(frozen=True)
class Actor:
    """Somebody who calls.

    `scope` is that of a scoped key, MASTER for every other; `role` is what the key is good for.
    """

    name: str
    role: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    scope: str = MASTER

    def is_admitted(self, method: MethodDescriptor) -> bool:
        """Whether the method's declared access lets them in."""
        access = method.GetOptions().Extensions[options_pb2.access]
        if options_pb2.ROLE_PUBLIC in access.roles:
            return True
        if self.role not in access.roles:
            return False
        if self.scope == MASTER:
            return True
        return not access.master_key_only and (not access.scopes or self.scope in access.scopes)


def strangers(world: World) -> Iterator[Actor]:
    """Everybody who has nothing to do with the victims; those with an account have it for one walk only."""
    yield Actor("nobody")
    yield from holders_of_bad_keys()
    yield another_renter(world)
    yield another_provider(world)


def holders_of_bad_keys() -> Iterator[Actor]:
    for role in (KeyRole.RENTER, KeyRole.SCOPED, KeyRole.PROVIDER):
        yield Actor(f"a {role} key that nobody has", headers=credential(keys.new_key(role).key))
    yield Actor("a wrong admin token", headers={"x-admin-token": "wrong"})


def another_renter(world: World) -> Actor:
    return Actor("another renter", options_pb2.ROLE_RENTER, credential(world.market.add_renter().key))


def another_provider(world: World) -> Actor:
    return Actor("another provider", options_pb2.ROLE_PROVIDER, credential(world.market.add_provider().key))


def insiders(world: World) -> Iterator[Actor]:
    """Those with rights, as far as these go: the admin, and the victim's own keys of one scope."""
    yield Actor("the admin", options_pb2.ROLE_ADMIN, {"x-admin-token": ADMIN_TOKEN})
    for scope, key in world.scoped.items():
        yield Actor(f"the renter's own key for {scope}", options_pb2.ROLE_RENTER, credential(key), scope)
    yield Actor("the victims' provider", options_pb2.ROLE_PROVIDER, credential(world.provider.key))
    yield Actor("the victims' renter", options_pb2.ROLE_RENTER, credential(world.renter.key))


def plausible_request(method: MethodDescriptor, ids: Mapping[str, Any]) -> Message:
    """A request about the victims' objects that breaks no rule of its fields."""
    request = GetMessageClass(method.input_type)()
    for item in method.input_type.fields:
        if item.name in ids:
            put(request, item, ids[item.name])
        elif is_required(item) or item.name in ALWAYS_SAID:
            say(request, item)
    return request


def is_required(item: FieldDescriptor) -> bool:
    return bool(item.GetOptions().Extensions[validate_pb2.field].required)


def say(request: Message, item: FieldDescriptor) -> None:
    listed = item.GetOptions().Extensions[validate_pb2.field].string
    listed_values = getattr(listed, "in")
    if item.message_type is not None:
        getattr(request, item.name).SetInParent()
    elif item.name == "ids":
        request.ids.extend([1])  # type: ignore[attr-defined]
    elif listed_values:
        setattr(request, item.name, listed_values[0])
    else:
        put(request, item, PLAUSIBLE.get(item.name, 1))


def put(request: Message, item: FieldDescriptor, value: Any) -> None:
    if item.message_type is not None:
        getattr(request, item.name).CopyFrom(to_value(value))
    else:
        setattr(request, item.name, str(value) if item.type == FieldDescriptor.TYPE_STRING else value)


def call(world: World, method: MethodDescriptor, actor: Actor, *requests: Message) -> Outcome:
    """Call as `actor`; whether the method streams does not matter."""
    invoke: Any = world.channel.stream_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=bytes,
    )
    answers = invoke(iter(requests), timeout=10, metadata=tuple(actor.headers.items()))
    said = b""
    try:
        for answer in answers:
            said += answer
    except grpc.RpcError as error:
        return Outcome(error.code(), said + repr((error.details(), error.trailing_metadata())).encode())
    return Outcome(grpc.StatusCode.OK, said)
