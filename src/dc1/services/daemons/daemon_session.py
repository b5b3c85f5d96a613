"""The daemon's stream: reads what the daemon says, follows it, and sends what the server wants."""

import asyncio
from collections.abc import AsyncIterator

import structlog

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.sessions import EndReason, StopReason
from dc1.domain import errors
from dc1.services.api.call import current_call
from dc1.services.api.provider_access import require_approved
from dc1.services.api.shielding import ShieldedWork
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.stream_messages import END_REASONS, offer_message, stop_message
from dcp.v1.daemon_stream_pb2 import ConnectRequest, ConnectResponse, Reconnect

log = structlog.get_logger(__name__)

# Two beats may be late or lost before a daemon counts as silent.
_BEATS_UNTIL_SILENT = 3


class DaemonSession:
    """One open stream, as `control` sees it: whatever is sent is only queued."""

    def __init__(self, provider_id: int, key_id: str | None) -> None:
        self._provider_id = provider_id
        self._key_id = key_id
        self._outbox: asyncio.Queue[ConnectResponse | None] = asyncio.Queue()

    @property
    def provider_id(self) -> int:
        """Whose stream it is."""
        return self._provider_id

    @property
    def key_id(self) -> str | None:
        """The key it was opened with."""
        return self._key_id

    def send(self, message: ConnectResponse) -> None:
        """Queue a message."""
        self._outbox.put_nowait(message)

    def offer(self, assignment: Assignment, expires_in_seconds: float) -> None:
        """Offer a job for the daemon to accept."""
        self.send(ConnectResponse(offer=offer_message(assignment, expires_in_seconds)))

    def stop(self, job_id: str, attempt: int, reason: StopReason) -> None:
        """Make the daemon stop a lease."""
        self.send(ConnectResponse(stop=stop_message(job_id, attempt, reason)))

    def end(self, reason: EndReason) -> None:
        """Tell the daemon why, then end the stream."""
        self.send(ConnectResponse(reconnect=Reconnect(reason=END_REASONS[reason])))
        self.close()

    def close(self) -> None:
        """End the stream after what is queued."""
        # Behind what is queued, so that the reason of the end goes out before it.
        self._outbox.put_nowait(None)

    async def messages(self) -> AsyncIterator[ConnectResponse]:
        """Yield what is queued until the stream ends."""
        while (message := await self._outbox.get()) is not None:
            yield message


async def connect(
    plane: ControlPlane, provider: Provider, requests: AsyncIterator[ConnectRequest]
) -> AsyncIterator[ConnectResponse]:
    """Hold a provider's stream from its Hello to its end.

    A provider that is pending or rejected, and a first message that is not a Hello, are refused.

    Yields:
        What the daemon is told, until the stream ends.

    Raises:
        service_unavailable: The server drains.
    """
    await require_approved(plane, provider)
    # UNAVAILABLE, and no stream that ends at once: the daemon tries again, and the edge finds it a server that stays.
    if plane.sessions.draining:
        raise errors.service_unavailable()
    patience = plane.config.beat_interval_seconds * _BEATS_UNTIL_SILENT
    hello = await _first(requests, patience)
    # With its key: when that is revoked or runs out, the stream it opened has to end (contract 1.2).
    session = DaemonSession(provider.id, current_call().principal.key_id)
    messages = DaemonMessages(plane, provider, session.send)
    plane.open_stream(session, provider)
    log.info("stream_opened", provider_id=provider.id, leases=len(hello.hello.state.leases))
    # What was begun is followed to its end also when the stream breaks: its transaction commits whoever waits.
    work = ShieldedWork()
    silent_seconds = 0.0

    async def read() -> None:
        nonlocal silent_seconds
        try:
            await work.run(messages.hello(hello.hello))
            while True:
                async with asyncio.timeout(patience):
                    message = await anext(requests, None)
                if message is None:
                    return
                await work.run(messages.take(message))
        except TimeoutError:
            # The silence counts towards the grace that a lost stream has.
            silent_seconds = patience
        finally:
            session.close()

    # A task of its own: what is queued goes out while nothing comes in.
    reader = asyncio.create_task(read(), name=f"stream-{provider.id}")
    try:
        async for message in session.messages():
            yield message
    finally:
        reader.cancel()
        # Nobody else awaits the reader, so what it failed of would be lost.
        (failure,) = await asyncio.gather(reader, return_exceptions=True)
        if isinstance(failure, Exception):
            log.error("stream_failed", provider_id=provider.id, exc_info=failure)
        plane.close_stream(session, provider, silent_seconds)
        log.info("stream_closed", provider_id=provider.id, silent_seconds=silent_seconds)


async def _first(requests: AsyncIterator[ConnectRequest], patience: float) -> ConnectRequest:
    try:
        async with asyncio.timeout(patience):
            message = await anext(requests, None)
    except TimeoutError:
        message = None
    if message is None or message.WhichOneof("message") != "hello":
        raise errors.invalid_field("hello", "must be the first message of the stream")
    return message
