"""The server from start to stop."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import structlog
from grpc_health.v1.health import aio as aio_health
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from dc1.control.operations.credentials import Credentials
from dc1.domain.base.clock import Clock, SystemClock
from dc1.edge.config import EdgeConfig
from dc1.server.authentication import Authenticator
from dc1.server.listening.edges import Edges
from dc1.server.listening.places import listen_on_port, sole_socket
from dc1.server.pipeline import Handler, Pipeline
from dc1.server.process.instance_lock import sole_server
from dc1.server.process.secret_key import keep_to_ourselves, load_edge_secret
from dc1.server.process.timekeeping import Timekeeping
from dc1.server.rate_limits import RateLimiter
from dc1.server.reflection import enable_reflection
from dc1.server.registry import Background, Foundation, Registry, build
from dc1.server.watching.audit import Auditor
from dc1.server.watching.call_log import CallLog
from dc1.server.watching.edge_acts import EdgeActs
from dc1.services.api.edge_refusals import EdgeRefusals
from dc1.services.api.idempotency import IdempotentCalls
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.output_budget import OutputBudget
from dc1.services.api.refusals import RefusalCounts
from dc1.settings.settings import Settings
from dc1.storage.engine.database import Database, UnreachableDatabaseError

_HEALTH = "grpc.health.v1.Health"
# For answers that are written and not yet sent, streams' farewells among them.
_LAST_WORDS_SECONDS = 0.5
_FAREWELL_SECONDS = 2.0
"""How long daemons' streams may take to end once they are told to."""
_PROCESS_SECONDS = 3.0
"""Until a process is started in place of one that ended, has loaded its modules, and is known to the edge."""
_LONGEST_START_SECONDS = 15.0
_DATABASE_SECONDS = 30.0
_DATABASE_PAUSE_SECONDS = 0.5
_log = structlog.get_logger(__name__)


class Application:
    """One server process. What it consists of is built by `build`, once the database is open."""

    def __init__(
        self, settings: Settings, build: Callable[[Foundation], Registry] = build, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._build = build
        self._clock = clock or SystemClock()
        self._health = aio_health.HealthServicer()
        self._cleanup = AsyncExitStack()
        self._start_seconds = 0.0
        self.auditor: Auditor

    async def start(self) -> str:
        """Open the database, start the parts and serve; return where, as `unix:/path` or `host:port`.

        Fails with a SettingsError when the settings do not allow serving; with an UnusableDatabaseError when the
        database cannot be used or another server works on it, to which PostgreSQL may take 30 s; with a ListenError
        when the socket or the port is taken or not allowed.
        """
        # By its work and not by the clock: a fleet that was turned away kept the machine busy meanwhile, and the fleet
        # that the next server is started for waits.
        began = time.process_time()
        self._settings.require_servable()
        keep_to_ourselves(self._settings)
        async with AsyncExitStack() as stack:
            stack.enter_context(sole_server(self._settings.resolved_database_url))
            database = await self._reach_database()
            stack.push_async_callback(database.close)
            timekeeping = await self._set_clock(database)
            foundation = self._foundation(database)
            self._registry = self._build(foundation)
            self._pipeline = self._build_pipeline(foundation)
            self._server = self._build_server()
            place = self._listen(stack)
            edge_acts = EdgeActs(foundation.edge_refusals, database, self._clock)
            for part in (*timekeeping, self.auditor, edge_acts, *self._registry.background):
                await part.start()
                stack.push_async_callback(part.stop)
            await self._server.start()
            self._cleanup = stack.pop_all()
        self._start_seconds = min(time.process_time() - began, _LONGEST_START_SECONDS)
        _log.info("serving", address=place, database=database.engine_name)
        return place

    async def ended(self) -> None:
        """Wait until a part ends by itself, which none should: the server would answer and nothing behind it move."""
        await self._registry.ended()

    async def drain(self, grace_seconds: float | None = None, *, notice_seconds: float = 0.0) -> None:
        """Stop gracefully: say NOT_SERVING, finish the calls in flight, send daemons elsewhere, then stop the parts.

        Calls that take longer than `grace_seconds`, by default the setting `drain_seconds`, are cut off. Beside other
        servers new ones are taken for `notice_seconds` more, in which edges hear that they are to go there.
        """
        grace = self._settings.drain_seconds if grace_seconds is None else grace_seconds
        _log.info("draining", grace_seconds=grace)
        # First, so that whoever asks before a new call goes elsewhere.
        await self._health.enter_graceful_shutdown()
        if notice_seconds and self._registry.has_others():
            await asyncio.sleep(notice_seconds)
        self._registry.drain()
        calls_ended = await self._end_calls(grace)
        # Only now: a call under /v1 is answered by a daemon on its stream, and would be lost with it.
        # The next server starts once this one has ended, and takes as long as this one did.
        ending_seconds = _FAREWELL_SECONDS + _LAST_WORDS_SECONDS
        self._registry.release(ending_seconds + _PROCESS_SECONDS + self._start_seconds)
        streams_ended = await self._pipeline.streams_ended(_FAREWELL_SECONDS)
        if not (calls_ended and streams_ended):
            _log.warning("calls_cut_off")
            self._pipeline.cut_off()
        await self._server.stop(_LAST_WORDS_SECONDS)
        await self._cleanup.aclose()
        self._call_log.close()
        _log.info("stopped")

    async def _end_calls(self, grace: float) -> bool:
        """Let calls in flight end, and end those that daemons answer still; tell whether none is left."""
        if await self._pipeline.drain(grace):
            return True
        try:
            await self._registry.stop_calls()
        except Exception:
            # A stop goes on without a database too; the next server ends what is left.
            _log.exception("calls_not_ended")
        return await self._pipeline.drain(_LAST_WORDS_SECONDS)

    async def _reach_database(self) -> Database:
        """Open the database; one with a server of its own may be started after us, or be restarted just now."""
        give_up_at = time.monotonic() + _DATABASE_SECONDS
        told = ""
        while True:
            try:
                return await asyncio.to_thread(self._open_database)
            except UnreachableDatabaseError as error:
                if time.monotonic() > give_up_at:
                    raise
                if told != (told := str(error)):
                    _log.warning("database_not_reached", reason=told, seconds_left=round(give_up_at - time.monotonic()))
            await asyncio.sleep(_DATABASE_PAUSE_SECONDS)

    async def _set_clock(self, database: Database) -> Sequence[Background]:
        """Set the clock that this process made for itself, and return what keeps it; another's is let be."""
        if not isinstance(self._clock, SystemClock):
            return ()
        timekeeping = Timekeeping(self._clock, database, reset=self._settings.clock_reset)
        await timekeeping.set()
        return (timekeeping,)

    def _open_database(self) -> Database:
        settings = self._settings
        return Database.open(
            settings.resolved_database_url,
            connections=settings.database_connections,
            direct_url=settings.database_direct_url,
            read_url=settings.database_read_url,
        )

    def _foundation(self, database: Database) -> Foundation:
        settings, clock = self._settings, self._clock
        return Foundation(
            settings,
            clock,
            database,
            Credentials(database, clock),
            IdempotentCalls(database, clock, settings.idempotency_ttl_hours * 3600),
            RefusalCounts(),
            OutputBudget(enabled=settings.rate_limits_enabled),
            # Where `dc1 up` and `dc1 edge` keep the edge's files, if they have this data directory.
            EdgeRefusals(EdgeConfig.from_settings(settings, ()).admin_socket),
            OpenStreams(),
        )

    def _build_pipeline(self, foundation: Foundation) -> Pipeline:
        settings = self._settings
        limiter = RateLimiter(self._clock, enabled=settings.rate_limits_enabled)
        token = settings.admin_token
        authenticator = Authenticator(
            foundation.credentials,
            limiter,
            admin_token=token.get_secret_value() if token else None,
            admin_networks=settings.admin_ip_allowlist,
        )
        self.auditor = Auditor(foundation.database, self._clock)
        self._call_log = CallLog(foundation.refusals, foundation.open_streams, foundation.call_metrics)
        # Nobody has to prove himself who comes through the socket.
        secret = None if settings.grpc_address is None else load_edge_secret(settings)
        edges = Edges(settings.trusted_edges, secret)
        return Pipeline(
            authenticator,
            limiter,
            self.auditor,
            foundation.idempotent,
            edges,
            self._call_log,
            foundation.output_budget,
        )

    def _build_server(self) -> grpc.aio.Server:
        server = grpc.aio.server(interceptors=[self._pipeline], options=_channel_options(self._settings))
        names, found_by_name = [_HEALTH], _FoundByName(server)
        for service in self._registry.services:
            service.add(service.servicer, found_by_name)
            names.append(service.descriptor.full_name)
        # Registered: an edge that hears nothing for seconds sends everybody away.
        add_HealthServicer_to_server(self._health, server)
        enable_reflection(names, server)
        return server

    def _listen(self, held: AsyncExitStack) -> str:
        """Listen on the socket, which is given back with `held`, or on the port."""
        bind = self._server.add_insecure_port
        if (address := self._settings.grpc_address) is not None:
            return listen_on_port(*address, bind)
        return held.enter_context(
            sole_socket(self._settings.resolved_grpc_socket, self._settings.grpc_socket_group, bind)
        )


class _FoundByName:
    """A server that looks for a method when a call of it comes, but for streams of daemons.

    gRPC awaits the next call of each method that is registered apart, and goes through all that it awaits whenever one
    comes: 0.3 ms of every call where there are 200. It takes one at a time: what is not registered stands in one line,
    and a fleet that comes back, which all others would wait for, in its own.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Register what daemons hold."""
        apart = {name: each for name, each in method_handlers.items() if each.request_streaming}
        if apart:
            self._server.add_registered_method_handlers(service_name, apart)


def _channel_options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # No limit: what is sent was taken within the limits of its own, and stands several times in one answer; a
        # refusal on the way out is one that no repetition mends.
        ("grpc.max_send_message_length", -1),
        # The identity alone, which is the first bit: 12 KB of a stranger's gzip are 12 MB before anybody asked for a
        # key.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # Without it a second server would share the port in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", 100_000),
        # A fleet reconnects at once after a restart; by default calls beyond 1,000 not yet taken up are dropped at
        # random.
        # Nor those that wait for longer than its 30 s: who leaves knows it first.
        ("grpc.server_max_unrequested_time_in_server", 90),
        ("grpc.server.max_pending_requests", 100_000),
        ("grpc.server.max_pending_requests_hard_limit", 100_000),
        # Daemons and edges keep connections alive by PINGs; by default those more frequent than 5 minutes end the
        # connection.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Envoy takes 60 KiB of headers; what it passes on must not fail here, where it would look like a rate limit.
        ("grpc.max_metadata_size", 96 * 1024),
    ]
