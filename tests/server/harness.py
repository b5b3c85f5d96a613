"""A real server on loopback whose servicers say what they were asked, and a client that reads as the edge does."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
from google.protobuf import symbol_database
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from dc1.control.operations.credentials import Credentials
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.server.app import Application
from dc1.server.registry import Background, Foundation, Registry, Service
from dc1.services.api.call import Call, current_call
from dc1.services.api.hooks import normalised_by, shape_checked_by
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.refusals import RefusalCounts
from dc1.services.daemons.heartbeats import check_heartbeat
from dc1.settings.settings import Settings
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import renters
from dc1.storage.accounts.renters import NewRenter
from dc1.storage.engine.database import Database
from dc1.storage.providers import providers
from dc1.storage.providers.providers import NewProvider
from dc1.testing.clock import ManualClock
from dcp.v1.admin_provider_service_pb2_grpc import AdminProviderServiceServicer
from dcp.v1.admin_service_pb2_grpc import AdminServiceServicer
from dcp.v1.daemon_service_pb2_grpc import DaemonServiceServicer
from dcp.v1.job_service_pb2_grpc import JobServiceServicer
from dcp.v1.market_service_pb2_grpc import MarketServiceServicer
from dcp.v1.provider_service_pb2_grpc import ProviderServiceServicer
from dcp.v1.renter_service_pb2_grpc import RenterServiceServicer

ADMIN_TOKEN = "the operator's token"
START_MS = 1_774_206_000_000
M = TypeVar("M", bound=Message)


class RecordingServicer:
    """Answers every method with an empty message, or as `behaviours` say, and remembers the calls."""

    def __init__(
        self,
        service: ServiceDescriptor,
        behaviours: dict[str, Callable[..., Any]],
        normalisers: dict[str, Callable[[Any], None]],
        calls: list[Any],
    ) -> None:
        self._service = service
        self._behaviours = behaviours
        self._normalisers = normalisers
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = self._service.methods_by_name[name]
        answer = symbol_database.Default().GetSymbol(method.output_type.full_name)

        async def one(request: Any, context: Any) -> Any:
            self._calls.append((current_call(), request))
            behaviour = self._behaviours.get(name)
            return await behaviour(request) if behaviour else answer()

        async def many(request: Any, context: Any) -> AsyncIterator[Any]:
            self._calls.append((current_call(), request))
            async for response in self._behaviours[name](request):
                yield response

        def normalise(request: Any) -> None:
            self._normalisers.get(f"/{self._service.full_name}/{name}", lambda request: None)(request)

        if name == "Heartbeat":
            return shape_checked_by(check_heartbeat)(one)
        return many if method.server_streaming else normalised_by(normalise)(one)


@dataclass
class Answer:
    """What a REST client would see, and what a native one sees."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str | bytes]
    code: grpc.StatusCode = grpc.StatusCode.OK
    text: str = ""
    message: Any = None


@dataclass
class Accounts:
    """Keys of one renter and one provider, both good for calls."""

    renter_id: int
    provider_id: int
    renter: str
    provider: str


@dataclass
class Running:
    """A server, and a client connected to it."""

    app: Application
    place: str
    channel: grpc.aio.Channel
    database: Database
    credentials: Credentials
    accounts: Accounts
    calls: list[tuple[Call, Any]]
    behaviours: dict[str, Callable[..., Any]]
    refusals: RefusalCounts
    open_streams: OpenStreams

    async def call(self, method: str, request: Message, **headers: str) -> Answer:
        """Call `Service/Method` as the edge does; underscores in the names of `headers` stand for hyphens."""
        return await self.call_natively(method, request, x_rest="1", **headers)

    async def call_natively(self, method: str, request: Message, **headers: str) -> Answer:
        """Call `Service/Method` as a gRPC client does."""
        descriptor = _method(method)
        stub = self.channel.unary_unary(
            f"/dcp.v1.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=symbol_database.Default().GetSymbol(descriptor.output_type.full_name).FromString,
        )
        call = stub(request, metadata=_metadata(headers))
        try:
            message = await call
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        initial = dict(await call.initial_metadata())
        return Answer(int(initial.get("x-http-status", 200)), {}, initial, message=message)

    def stream(self, method: str, requests: Any, **headers: str) -> Any:
        """Open a streaming call of `Service/Method`."""
        descriptor = _method(method)
        database = symbol_database.Default()
        kind = self.channel.stream_stream if descriptor.client_streaming else self.channel.unary_stream
        stub = kind(
            f"/dcp.v1.{method}",
            request_serializer=database.GetSymbol(descriptor.input_type.full_name).SerializeToString,
            response_deserializer=database.GetSymbol(descriptor.output_type.full_name).FromString,
        )
        return stub(requests, metadata=_metadata(headers))

    async def scoped_key(self, *scopes: str, expires_at_ms: int | None = None) -> keys.NewKey:
        """Store a scoped key of the renter."""
        new = keys.new_key(KeyRole.SCOPED)
        owner = self.accounts.renter_id
        await self.database.write(
            lambda conn: key_rows.add(
                conn, KeyRole.SCOPED, owner, new, START_MS, scopes=list(scopes), expires_at_ms=expires_at_ms
            )
        )
        return new

    @property
    def last(self) -> Call:
        """The call that a servicer answered last."""
        return self.calls[-1][0]


def refusal(error: grpc.aio.AioRpcError) -> Answer:
    """Read a refused call."""
    trailing = dict(cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata()))
    body = json.loads(trailing.get("x-error-body", "{}"))
    return Answer(int(trailing.get("x-http-status", 0)), body, trailing, error.code(), error.details() or "")


@dataclass
class Harness:
    """Starts servers on one database."""

    directory: Path
    clock: ManualClock
    behaviours: dict[str, Callable[..., Any]] = field(default_factory=dict)
    normalisers: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    background: list[Background] = field(default_factory=list)
    release: Callable[[float], None] = lambda next_seconds: None
    has_others: bool = False
    extra_services: list[Service] = field(default_factory=list)

    async def start(self, **chosen: Any) -> Running:
        """Start a server with the settings `chosen`.

        Rate limits are off and the admin token is set unless said otherwise.
        """
        defaults = {
            "admin_token": ADMIN_TOKEN,
            "rate_limits_enabled": False,
            "data_dir": self.directory,
        }
        settings = Settings(**{**defaults, **chosen})
        foundations: list[Foundation] = []
        calls: list[tuple[Call, Any]] = []

        def build(foundation: Foundation) -> Registry:
            foundations.append(foundation)
            return Registry(
                services=[*self._services(calls), *self.extra_services],
                background=self.background,
                release=self.release,
                has_others=lambda: self.has_others,
            )

        app = Application(settings, build, self.clock)
        place = await app.start()
        database = foundations[0].database
        accounts = await database.write(_accounts)
        channel = grpc.aio.insecure_channel(place)
        credentials = foundations[0].credentials
        refusals, open_streams = foundations[0].refusals, foundations[0].open_streams
        return Running(
            app, place, channel, database, credentials, accounts, calls, self.behaviours, refusals, open_streams
        )

    def _services(self, calls: list[Any]) -> Iterable[Service]:
        for described in _SERVICES:
            recording = RecordingServicer(described.descriptor, self.behaviours, self.normalisers, calls)
            yield replace(described, servicer=recording)


_SERVICES = [
    Service.of(None, base)
    for base in (
        AdminProviderServiceServicer,
        AdminServiceServicer,
        DaemonServiceServicer,
        JobServiceServicer,
        MarketServiceServicer,
        ProviderServiceServicer,
        RenterServiceServicer,
    )
]


def _method(method: str) -> Any:
    service, name = method.split("/")
    return next(one.descriptor for one in _SERVICES if one.descriptor.name == service).methods_by_name[name]


def _metadata(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in headers.items()]


def _accounts(conn: Any) -> Accounts:
    unique = keys.new_key(KeyRole.RENTER).key_id
    renter_id = renters.register(conn, NewRenter("Noura Salem", f"{unique}@example.sa"), 1000, START_MS)
    new = NewProvider("Najd GPU", f"{unique}@gpu.example.sa", "RTX 4090", "linux")
    provider_id = providers.register(conn, new, START_MS)
    renter_key, provider_key = keys.new_key(KeyRole.RENTER), keys.new_key(KeyRole.PROVIDER)
    key_rows.add(conn, KeyRole.RENTER, renter_id, renter_key, START_MS)
    key_rows.add(conn, KeyRole.PROVIDER, provider_id, provider_key, START_MS)
    return Accounts(renter_id, provider_id, renter_key.key, provider_key.key)
