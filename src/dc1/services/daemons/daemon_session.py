"""The daemon's stream: reads what the daemon says, follows it, and sends what the server wants."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator

import structlog

from dc1.control.cluster.second_daemons import Asker, instance_of
from dc1.control.control_plane import ControlPlane
from dc1.control.failures import level_of
from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.probe_messages import ProbeMessage
from dc1.control.scheduling.sessions import EndReason, StopReason
from dc1.domain import errors
from dc1.domain.errors import ApiError
from dc1.services.api.call import current_call
from dc1.services.api.provider_access import calling_provider, require_approved
from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.arriving_streams import ArrivingStreams
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.message_follower import MessageFollower
from dc1.services.daemons.outbox import Outbox
from dc1.services.daemons.probe_messages import probe_message
from dc1.services.daemons.stream_ends import Farewell, Silence
from dc1.services.daemons.stream_log import StreamLog
from dc1.services.daemons.stream_messages import END_REASONS, stop_message
from dcp.v1.daemon_stream_pb2 import ConnectRequest, ConnectResponse, Hello, Reconnect

log = structlog.get_logger(__name__)

# Two beats may be late or lost before a daemon counts as silent.
_BEATS_UNTIL_SILENT = 3


class DaemonSession:
    """One open stream, as `control` sees it: whatever is sent is only queued."""

    def __init__(
        self,
        provider_id: int,
        asker: Asker,
        outbox: Outbox,
        images: ToldImages,
        messages: DaemonMessages,
        address: str = "",
    ) -> None:
        self._provider_id = provider_id
        self.address = address
        self._asker = asker
        self._messages = messages
        self.heard_at = time.monotonic()
        self._outbox = outbox
        self._images = images

    @property
    def provider_id(self) -> int:
        """Whose stream it is."""
        return self._provider_id

    @property
    def key_id(self) -> str | None:
        """The key it was opened with."""
        return self._asker.key_id

    @property
    def instance(self) -> str:
        """The daemon process that opened it, as a digest; empty when it named none."""
        return self._asker.instance

    @property
    def beat_interval_seconds(self) -> float:
        """How long the daemon was told to let pass between two beats."""
        return self._messages.interval_seconds

    @property
    def begins_calls(self) -> bool:
        """Whether the daemon begins a call with its offer."""
        return self._messages.begins_with_offers

    def ask_for_beat(self) -> None:
        """Have the daemon beat at once."""
        self._messages.ask_for_beat()

    def offer(self, assignment: Assignment, expires_in_seconds: float) -> None:
        """Offer a job for the daemon to accept."""
        self._images.tell_change()
        offer = self._messages.offer(assignment, self._images.by_type, expires_in_seconds)
        self._outbox.send(ConnectResponse(offer=offer))

    def stop(self, job_id: str, attempt: int, reason: StopReason) -> None:
        """Make the daemon stop a lease."""
        self._outbox.send(ConnectResponse(stop=stop_message(job_id, attempt, reason)))

    def probe(self, message: ProbeMessage) -> None:
        """Go on with a probe of the machine."""
        self._outbox.send(probe_message(message))

    def end(self, reason: EndReason, after_seconds: float = 0.0) -> None:
        """Tell the daemon why and when to open the next one, then end the stream."""
        reconnect = Reconnect(reason=END_REASONS[reason], after_seconds=after_seconds)
        self._outbox.send(ConnectResponse(reconnect=reconnect))
        self._outbox.close()


async def connect(
    plane: ControlPlane,
    requests: AsyncIterator[ConnectRequest],
    arriving: ArrivingStreams,
    budget: MessageBudget,
    stream_log: StreamLog,
) -> AsyncGenerator[ConnectResponse, None]:
    """Hold the calling provider's stream from its Hello to its end.

    A provider that is pending or rejected, a first message that is not a Hello, and a daemon that said far too much
    are refused.

    Yields:
        What the daemon is told, until the stream ends.

    Raises:
        service_unavailable: The server drains.
    """
    provider = await calling_provider(plane)
    await require_approved(plane, provider)
    # UNAVAILABLE, and no stream that ends at once: the daemon tries again, and the edge finds it a server that stays.
    if plane.sessions.draining:
        raise errors.service_unavailable()
    with arriving.counted(provider.id):
        first = await _first(requests, plane.config.beat_interval_seconds * _BEATS_UNTIL_SILENT)
        budget.require_little_wait(provider.id)
        budget.spend(provider.id, first)
        await budget.room(provider.id)
        # Here the new key has arrived: who has the old one shall not take this stream's place with it.
        if current_call().principal.has_replaced_keys:
            await plane.provider_accounts.end_grace(provider.id)
        hello: Hello | None = first.hello
        del first
        assert hello is not None
        asker = _asker(hello)
        await plane.second_daemons.admit(provider, asker)
    outbox = Outbox(bundles=hello.state.takes_bundles)
    images = ToldImages(plane.catalog, outbox)
    messages = DaemonMessages(plane, provider, outbox, images, budget)
    # With its key: when that is revoked or runs out, the stream it opened has to end (contract 1.2).
    session = DaemonSession(provider.id, asker, outbox, images, messages, current_call().address)
    plane.open_stream(session, provider)
    opened_at = time.monotonic()
    stream_log.opened(provider.id, len(hello.state.leases))
    follower = MessageFollower(messages, provider.id, outbox.close)
    silence = Silence(outbox.close)

    async def read(to_begin: Hello | None) -> None:
        try:
            if to_begin is not None:
                await follower.begin(to_begin)
                to_begin = None
            while True:
                silence.begin(messages.interval_seconds * _BEATS_UNTIL_SILENT)
                # Nothing is taken from a daemon that reads no answers: they would pile up here.
                await outbox.room()
                message = await anext(requests, None)
                silence.heard()
                if message is None:
                    return
                session.heard_at = time.monotonic()
                await follower.take(message)
                # Not kept while the next one is waited for: 5 KiB in each of ten thousand streams.
                del message
                # What is not read meanwhile waits in the daemon, whose writing HTTP/2 holds up.
                await budget.room(provider.id)
        finally:
            outbox.close()

    farewell = Farewell(outbox)
    reader: asyncio.Task[None] | None = None
    try:
        has_begun = await follower.begin_at_once(hello)
        # A task of its own: what is queued goes out while nothing comes in.
        reader = asyncio.create_task(read(None if has_begun else hello), name=f"stream-{provider.id}")
        # With all that it reports it would stay as long as the stream.
        hello = None
        async for message in outbox:
            yield message
    finally:
        farewell.end()
        silence.end()
        try:
            ended_by = await _failure_of(reader)
            failure = follower.failure or ended_by
            if isinstance(failure, ApiError):
                # Without a traceback: what a daemon sends badly would write a hundred lines for each of its bytes.
                log.warning("stream_refused", provider_id=provider.id, reason=failure.message)
            elif isinstance(failure, Exception):
                level_of(failure, log)("stream_failed", provider_id=provider.id)
        finally:
            # Also where the call is cancelled once more meanwhile: a daemon that is gone would be there for ever.
            plane.close_stream(session, provider, silence.seconds)
            stream_log.closed(provider.id, silence.seconds, time.monotonic() - opened_at)
            if plane.sessions.draining and not len(plane.sessions):
                # The last before the process ends, which waits for no window.
                stream_log.tell()
    if isinstance(failure, ApiError):
        # The end says why; an end with OK would send the daemon into the same again.
        raise failure


async def _failure_of(reader: asyncio.Task[None] | None) -> BaseException | None:
    """End the reader and return what it failed of, which would be lost: nobody else awaits it."""
    if reader is None:
        return None
    if not reader.done():
        reader.cancel()
        await asyncio.wait([reader])
    return None if reader.cancelled() else reader.exception()


def _asker(hello: Hello) -> Asker:
    principal = current_call().principal
    return Asker(
        instance_of(hello.instance_id),
        key_id=principal.key_id,
        key_is_replaced=principal.key_is_replaced,
        take_over=hello.take_over,
    )


async def _first(requests: AsyncIterator[ConnectRequest], patience: float) -> ConnectRequest:
    try:
        async with asyncio.timeout(patience):
            message = await anext(requests, None)
    except TimeoutError:
        message = None
    if message is None or message.WhichOneof("message") != "hello":
        raise errors.invalid_field("hello", "must be the first message of the stream")
    return message
