"""The daemon's connection: one stream after the other, until it is closed or refused."""

import asyncio
import random
import time
import uuid

import grpc
import structlog

from dc1.containment import contained
from dc1.daemon.config import DaemonConfig
from dc1.daemon.connection.backoff import Backoff
from dc1.daemon.connection.channel import explain_failure, open_channel, read_again, read_credentials, stays_here
from dc1.daemon.connection.operator_notices import OperatorNotices
from dc1.daemon.connection.reporter import Reporter
from dc1.daemon.connection.stream import Stream, StreamEnd
from dc1.daemon.errors import AccessDeniedError, KeyInUseError, ReplacedError
from dc1.daemon.leases.assignments import Assignments
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import provider_service_pb2_grpc as provider_service

NOT_APPROVED = "Provider is not approved yet"
STEADY_SECONDS = 1.0
"""A stream that has lasted so long counts as a success."""

WELCOME_SECONDS = 60.0
"""How long the server may take to answer Hello: not quite the 75 s for which the edge keeps a stream that is silent.

A fleet that comes back stands in line at its server. Whoever leaves the line is looked at all the same when its turn
comes, which takes as long as a welcome, and stands at the end again.
"""

LONG_WAIT_SECONDS = 10.0
"""After so long without a welcome the log says what is waited for."""

log = structlog.get_logger(__name__)


class Connection:
    """Keeps a stream open. Leases live on while there is none."""

    def __init__(
        self,
        config: DaemonConfig,
        assignments: Assignments,
        reporter: Reporter,
        registry: RunnerRegistry,
        backoff: Backoff | None = None,
    ) -> None:
        self.instance_id = uuid.uuid4().hex
        self._config = config
        self._assignments = assignments
        self._reporter = reporter
        self._registry = registry
        self._backoff = backoff or Backoff()
        self._notices = OperatorNotices()
        self._stream: Stream | None = None
        self._closing = asyncio.Event()
        self._last_end: StreamEnd | None = None
        self._raced = False
        # Once is enough: after that it is this process that others would have to take over from.
        self._was_welcomed = False
        self.streams = 0
        """How many streams were welcomed."""

    async def run(self) -> None:
        """Connect, and connect again, until `close`; a DaemonError says that the server wants this daemon no more."""
        credentials = read_credentials(self._config)
        if credentials is None and not stays_here(self._config.server):
            log.warning("connection_not_encrypted", hint="the key can be read on its way", server=self._config.server)
        while not self._closing.is_set():
            credentials = read_again(self._config, credentials)
            stream = Stream(
                self.instance_id,
                self._assignments,
                self._reporter,
                self._registry,
                self._notices,
                self._config.beat_interval_seconds,
                welcome_seconds=WELCOME_SECONDS,
                take_over=self._config.take_over and not self._was_welcomed,
            )
            # Set before the first message, so that `close` and `beat_now` find a stream that is still connecting.
            self._stream = stream
            opened_at = time.monotonic()
            end = await self._held(stream, credentials)
            self._stream = None
            if stream.welcomed:
                self._was_welcomed = True
                self.streams += 1
                self._last_end = None
                # A server that welcomes the daemon and fails at what it says next is left alone longer each time.
                if time.monotonic() - opened_at > STEADY_SECONDS:
                    self._backoff.reset()
            if not self._closing.is_set():
                await self._pause(self._seconds_after(end))

    async def _held(self, stream: Stream, credentials: grpc.ChannelCredentials | None) -> StreamEnd:
        """Hold a stream until it ends. A fault in it ends no other, and no lease."""
        waiting = asyncio.get_running_loop().call_later(LONG_WAIT_SECONDS, self._say_waiting, stream)
        try:
            # A channel for each stream: one that failed waits for its own backoff before it tries again.
            with contained():
                async with open_channel(self._config.server, credentials) as channel:
                    return await stream.run(provider_service.ProviderServiceStub(channel), self._config.key)
        except Exception as fault:
            log.exception("stream_failed", server=self._config.server)
            return StreamEnd(f"the stream failed: {type(fault).__name__}")
        finally:
            waiting.cancel()

    def _say_waiting(self, stream: Stream) -> None:
        if not stream.welcomed and not self._closing.is_set():
            hint = f"it may be out of reach, or have many daemons to welcome; waiting for up to {WELCOME_SECONDS:.0f} s"
            log.warning("no_welcome_yet", server=self._config.server, hint=hint)

    @property
    def is_open(self) -> bool:
        """Whether a server has welcomed this daemon and hears it."""
        return self._stream is not None and self._stream.welcomed

    def beat_now(self) -> None:
        """Tell the server the present state at once, if a stream is open."""
        if self._stream is not None:
            self._stream.beat_now()

    def close(self) -> None:
        """End the stream in order, and `run` with it."""
        self._closing.set()
        if self._stream is not None:
            self._stream.finish()

    def _seconds_after(self, end: StreamEnd) -> float:
        """Return how long to wait after a stream has ended.

        Raises:
            KeyInUseError: another daemon has the stream and lives.
            ReplacedError: another daemon has the key now.
            AccessDeniedError: the server does not want the key, or the provider.
        """
        again, self._raced = self._raced, end.raced
        if end.reconnect == pb.RECONNECT_REASON_REPLACED:
            raise ReplacedError("Another daemon has connected with this provider's key; this one has stopped.")
        if end.code is grpc.StatusCode.ALREADY_EXISTS:
            raise KeyInUseError(
                "Another daemon is connected with this provider's key. If that one is not yours, rotate the key; if this "
                "machine shall have its place, start this daemon with --take-over."
            )
        if end.reconnect == pb.RECONNECT_REASON_ACCESS_REVOKED:
            raise AccessDeniedError("The server has revoked this provider's access.")
        if end.code is grpc.StatusCode.UNAUTHENTICATED:
            raise AccessDeniedError(f"The server refused the provider key: {end.details}.")
        if end.code is grpc.StatusCode.PERMISSION_DENIED:
            # By its text, as every 403 has this status and only this one passes by itself.
            if end.details != NOT_APPROVED:
                raise AccessDeniedError(f"The server refused this provider: {end.details}.")
            if self._is_news(end):
                log.warning("approval_pending", hint="waiting for approval by an admin", server=self._config.server)
            # Spread by a quarter: machines that were set up together should not ask together.
            return self._config.approval_poll_seconds * random.uniform(0.75, 1.25)  # noqa: S311 -- no secret
        # A lost status says nothing yet; that it is lost twice in a row says that the server fails at once.
        if (not end.raced or again) and self._is_news(end):
            status = end.code and end.code.name
            details = explain_failure(end.details, tls=self._config.tls)
            log.warning("not_connected", server=self._config.server, status=status, details=details)
        # Who is told when its turn is comes neither sooner, to be turned away once more, nor later.
        return self._backoff.next(end.fleet_seconds, end.after_seconds, is_lost=end.raced)

    def _is_news(self, end: StreamEnd) -> bool:
        """Return whether the end differs from the last: not every failed attempt of an outage is logged."""
        news, self._last_end = end != self._last_end, end
        return news

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
