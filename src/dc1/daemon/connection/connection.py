"""The daemon's connection: one stream after the other, until it is closed or refused."""

import asyncio
import contextlib
import ipaddress
import random
import ssl
import time
import uuid
from pathlib import Path

import grpc
import structlog
from grpc import aio

from dc1.daemon.config import DaemonConfig
from dc1.daemon.connection.backoff import Backoff
from dc1.daemon.connection.connection_errors import in_words
from dc1.daemon.connection.operator_notices import Notices
from dc1.daemon.connection.reporter import Reporter
from dc1.daemon.connection.stream import Stream, StreamEnd
from dc1.daemon.errors import AccessDeniedError, DaemonError, ReplacedError
from dc1.daemon.leases.assignments import Assignments
from dc1.daemon.runners.runner_registry import Roster
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import provider_service_pb2_grpc as provider_service

NOT_APPROVED = "Provider is not approved yet"
STEADY_SECONDS = 1.0
"""A stream that has lasted so long counts as a success."""

MAX_MESSAGE_BYTES = 12 * 1024 * 1024

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Waiting between attempts is Backoff's; grpc would share its own, slower one between channels.
    ("grpc.use_local_subchannel_pool", 1),
)

log = structlog.get_logger(__name__)


class Connection:
    """Keeps a stream open. Leases live on while there is none."""

    def __init__(
        self,
        config: DaemonConfig,
        assignments: Assignments,
        reporter: Reporter,
        roster: Roster,
        backoff: Backoff | None = None,
    ) -> None:
        self.instance_id = uuid.uuid4().hex
        self._config = config
        self._assignments = assignments
        self._reporter = reporter
        self._roster = roster
        self._backoff = backoff or Backoff()
        self._notices = Notices()
        self._stream: Stream | None = None
        self._closing = asyncio.Event()
        self._last_end: StreamEnd | None = None
        self._raced = False

    async def run(self) -> None:
        """Connect, and connect again, until `close`. Raises DaemonError when the server wants this daemon no more."""
        credentials = _credentials(self._config)
        if credentials is None and not _is_loopback(self._config.server):
            log.warning("the connection is not encrypted: the key can be read on its way", server=self._config.server)
        while not self._closing.is_set():
            stream = Stream(
                self.instance_id,
                self._assignments,
                self._reporter,
                self._roster,
                self._notices,
                self._config.beat_interval_seconds,
            )
            self._stream = stream
            opened_at = time.monotonic()
            async with self._channel(credentials) as channel:
                end = await stream.run(provider_service.ProviderServiceStub(channel), self._config.key)
            self._stream = None
            if stream.welcomed:
                self._last_end = None
                # A server that welcomes the daemon and fails at what it says next is left alone longer each time.
                if time.monotonic() - opened_at > STEADY_SECONDS:
                    self._backoff.reset()
            if not self._closing.is_set():
                await self._pause(self._seconds_after(end))

    def beat_now(self) -> None:
        """Tell the server the present state at once, if a stream is open."""
        if self._stream is not None:
            self._stream.beat_now()

    def close(self) -> None:
        """End the stream in order, and `run` with it."""
        self._closing.set()
        if self._stream is not None:
            self._stream.finish()

    def _channel(self, credentials: grpc.ChannelCredentials | None) -> aio.Channel:
        if credentials is None:
            return aio.insecure_channel(self._config.server, options=_OPTIONS)
        return aio.secure_channel(self._config.server, credentials, options=_OPTIONS)

    def _seconds_after(self, end: StreamEnd) -> float:
        """Return how long to wait after a stream has ended. Raises DaemonError when there shall be no other."""
        again, self._raced = self._raced, end.raced
        if end.reconnect == pb.RECONNECT_REASON_REPLACED:
            raise ReplacedError("Another daemon has connected with this provider's key; this one has stopped.")
        if end.reconnect == pb.RECONNECT_REASON_ACCESS_REVOKED:
            raise AccessDeniedError("The server has revoked this provider's access.")
        if end.code is grpc.StatusCode.UNAUTHENTICATED:
            raise AccessDeniedError(f"The server refused the provider key: {end.details}.")
        if end.code is grpc.StatusCode.PERMISSION_DENIED:
            if end.details != NOT_APPROVED:
                raise AccessDeniedError(f"The server refused this provider: {end.details}.")
            self._say("waiting for approval by an admin", end)
            return self._config.approval_poll_seconds * random.uniform(0.75, 1.25)  # noqa: S311 -- no secret
        if not end.raced or again:
            self._say("not connected", end)
        return self._backoff.next()

    def _say(self, event: str, end: StreamEnd) -> None:
        """Log the end of a stream, but not every failed attempt of an outage."""
        if end != self._last_end:
            status = end.code and end.code.name
            details = in_words(end.details, tls=self._config.tls)
            log.warning(event, server=self._config.server, status=status, details=details)
        self._last_end = end

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


def _is_loopback(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _credentials(config: DaemonConfig) -> grpc.ChannelCredentials | None:
    if not config.tls:
        return None
    # gRPC has certificates of its own and looks at no others; SSL_CERT_FILE names some too.
    file = config.ca_file or ssl.get_default_verify_paths().cafile
    if file is None:
        return grpc.ssl_channel_credentials()
    try:
        roots = Path(file).read_bytes()
        # Bundles name their certificates in between, in any script.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=roots.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError):
        raise DaemonError(f"The CA file holds no certificate in PEM form: {file}.") from None
    except OSError as error:
        raise DaemonError(f"The CA file cannot be read: {error}.") from error
    return grpc.ssl_channel_credentials(root_certificates=roots)
