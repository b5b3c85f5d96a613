"""What waits to be sent on a daemon's stream, bounded also when the daemon reads nothing."""

from collections.abc import AsyncIterator, Callable

from dc1 import defaults
from dc1.control.bell import Bell
from dc1.services.daemons.stream_messages import Attempt, attempt_of
from dcp.v1.daemon_stream_pb2 import ConnectResponse, Desired, Offer, ResponseBundle

# A daemon that reads has a handful waiting; a cancel or an offer is pushed whatever waits, and few of those come
# before a daemon that reads nothing is given up.
_MOST_MESSAGES = 256
_MOST_BYTES = 1024 * 1024
_MOST_BYTES_OFFERED = 4 * defaults.COMPLETION_MAX_BYTES
"""Of offers, each of which may have the body of a call: a daemon that takes some while for one reads all the same."""

_BUNDLE_BYTES = 64 * 1024
"""What is more than this goes by itself: there is nothing to be saved by its number."""

_NOTHING: frozenset[Attempt] = frozenset()


class Outbox(AsyncIterator[ConnectResponse]):
    """Messages in order, among them one desired state at the most, and what the daemon was offered in full."""

    def __init__(self, *, bundles: bool = False) -> None:
        """`bundles` says whether the daemon takes several messages in one."""
        self._bundles = bundles
        # None stands where the desired state goes: it is made when its turn comes, so it is the newest there is.
        # A list: it has a handful, and an empty deque would weigh ten times as much in each of ten thousand streams.
        self._waiting: list[ConnectResponse | None] = []
        self._desired: Callable[[], Desired] | None = None
        self._bytes = self._bytes_offered = 0
        self._named = _NOTHING
        self._arrived = Bell()
        self._read = Bell()
        self._closed = False
        self.closing: Callable[[], None] = lambda: None
        """Called when the stream is to end."""

    def send(self, message: ConnectResponse) -> None:
        """Queue a message; nothing follows the end of the stream."""
        if not self._closed:
            self._count(message, 1)
            self._queue(message)

    def send_desired(self, make: Callable[[], Desired]) -> None:
        """Queue the desired state in place of one that was not sent yet."""
        is_first = self._desired is None
        self._desired = make
        if is_first and not self._closed:
            self._queue(None)

    def close(self) -> None:
        """End the stream after what is queued."""
        if not self._closed:
            self._closed = True
            self._arrived.ring()
            self.closing()

    def was_offered(self, attempt: Attempt) -> bool:
        """Tell whether an offer was sent in full on this stream and is still open as far as the daemon was told."""
        return attempt in self._named

    async def room(self) -> None:
        """Wait until as much was read that there may be more; one task at a time."""
        while not self._has_room:
            await self._read.rung()

    async def __anext__(self) -> ConnectResponse:
        """Return what is queued once there is something, until the stream ends."""
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            await self._arrived.rung()
        return self._due()

    def _due(self) -> ConnectResponse:
        """Return all that waits, as far as one message takes it."""
        first = self._next()
        said, size = [first], first.ByteSize() if self._bundles else _BUNDLE_BYTES
        while self._waiting and len(said) < defaults.MOST_OF_BUNDLE:
            # What is not made yet may have any size, and an offer the body of a call.
            following = self._waiting[0]
            size += _BUNDLE_BYTES if following is None else following.ByteSize()
            if size >= _BUNDLE_BYTES:
                break
            said.append(self._next())
        return first if len(said) == 1 else ConnectResponse(bundle=ResponseBundle(messages=said))

    def _queue(self, message: ConnectResponse | None) -> None:
        self._waiting.append(message)
        self._arrived.ring()

    def _next(self) -> ConnectResponse:
        message = self._waiting.pop(0)
        if message is None:
            assert self._desired is not None
            message = ConnectResponse(desired=self._desired())
            self._desired = None
        else:
            self._count(message, -1)
        self._read.ring()
        self._note_offers(message)
        return message

    def _count(self, message: ConnectResponse, times: int) -> None:
        if message.HasField("offer"):
            self._bytes_offered += times * message.ByteSize()
        else:
            self._bytes += times * message.ByteSize()

    @property
    def _has_room(self) -> bool:
        has_bytes = self._bytes < _MOST_BYTES and self._bytes_offered < _MOST_BYTES_OFFERED
        return len(self._waiting) < _MOST_MESSAGES and has_bytes

    def _note_offers(self, message: ConnectResponse) -> None:
        # Noted when its turn has come and not before: a desired state that goes first has to say it in full.
        match message.WhichOneof("message"):
            case "offer":
                self._named |= {_offered(message.offer)}
            case "welcome":
                self._named = frozenset(map(_offered, message.welcome.desired.offers))
            case "desired":
                # It names every offer that is open, so what it leaves out is forgotten here.
                offered = map(attempt_of, message.desired.offered)
                self._named = frozenset((*map(_offered, message.desired.offers), *offered))
            case _:
                pass


def _offered(offer: Offer) -> Attempt:
    return offer.assignment.job_id, offer.assignment.attempt_number
