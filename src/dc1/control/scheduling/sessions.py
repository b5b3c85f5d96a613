"""The open streams, one a provider."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

from dc1.control.beat_pace import BeatPace
from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.probe_messages import ProbeMessage
from dc1.control.told_streams import ToldStreams

RETURNS_A_SECOND = 1_000
"""How many daemons are to open a stream in a second: more than one server takes, so that it never waits for them."""


_READY_A_SECOND = 1_500
"""How many streams a server ends, and machines the next one knows, in a second: both wait for it, on slow cores too."""

_FEW = 100
"""So many may ask before there is somebody, for which they are there the sooner."""


class StopReason(StrEnum):
    """Why a daemon must stop a lease."""

    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    SETTLED = "settled"
    TIMED_OUT = "timed_out"
    WITHDRAWN = "withdrawn"


class EndReason(StrEnum):
    """Why the server ends a stream."""

    DRAINING = "draining"
    REPLACED = "replaced"
    ACCESS_REVOKED = "access_revoked"


class Session(Protocol):
    """A provider's open stream. Every call only queues a message; it never waits and never fails."""

    @property
    def provider_id(self) -> int:
        """Whose stream it is."""
        ...

    @property
    def key_id(self) -> str | None:
        """The key it was opened with."""
        ...

    @property
    def instance(self) -> str:
        """The daemon process that opened it, as a digest; empty when it named none."""
        ...

    @property
    def address(self) -> str:
        """Where it came from, as far as the edge is trusted."""
        ...

    @property
    def heard_at(self) -> float:
        """When the daemon last said something, by the monotonic clock."""
        ...

    @property
    def beat_interval_seconds(self) -> float:
        """How long the daemon was told to let pass between two beats."""
        ...

    @property
    def begins_calls(self) -> bool:
        """Whether the daemon begins a call with its offer, and waits for no Start."""
        ...

    def ask_for_beat(self) -> None:
        """Have the daemon beat at once."""
        ...

    def offer(self, assignment: Assignment, expires_in_seconds: float) -> None:
        """Offer a job for the daemon to accept."""
        ...

    def stop(self, job_id: str, attempt: int, reason: StopReason) -> None:
        """Make the daemon stop a lease."""
        ...

    def probe(self, message: ProbeMessage) -> None:
        """Go on with a probe of the machine."""
        ...

    def end(self, reason: EndReason, after_seconds: float = 0.0) -> None:
        """Tell the daemon why and when to open the next one, then end the stream."""
        ...


class Sessions:
    """Who holds a stream. A newer stream of a provider replaces the older one."""

    def __init__(self) -> None:
        self._open: dict[int, Session] = {}
        self.draining = False
        self.pace = BeatPace()
        self.told_streams = ToldStreams()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))

    def get(self, provider_id: int) -> Session | None:
        """Return the provider's stream, if one is open."""
        return self._open.get(provider_id)

    def open(self, session: Session) -> None:
        """Register a stream and end the one it replaces."""
        older = self._open.get(session.provider_id)
        # In its place before the older one is told: when that one closes, it has to find that it was replaced.
        self._open[session.provider_id] = session
        if older is not None:
            older.end(EndReason.REPLACED)

    def close(self, session: Session) -> bool:
        """Forget a stream; False when a newer one has taken its place already."""
        if self._open.get(session.provider_id) is not session:
            return False
        del self._open[session.provider_id]
        return True

    def end(self, provider_id: int, reason: EndReason) -> None:
        """End the provider's stream, if one is open."""
        session = self._open.get(provider_id)
        if session is not None:
            session.end(reason)

    def take_no_more(self) -> None:
        """Open no more streams; those that are open go on."""
        self.draining = True

    @property
    def return_seconds(self) -> float:
        """Over how long the daemons that are here are to come back to the next server."""
        return len(self._open) / RETURNS_A_SECOND

    def send_away(self, first_seconds: float = 0.0) -> None:
        """Tell every daemon to open a new stream elsewhere, the first of them after `first_seconds`.

        Later by what so many streams take to end, and so many machines to be known. Each at a moment of its own: a
        fleet that asks before there is somebody is turned away, and asks again, and what that costs, a server that
        starts on the same machine does not have.
        """
        first_seconds = first_seconds + len(self) / _READY_A_SECOND if len(self) > _FEW else 0.0
        for number, session in enumerate(self):
            session.end(EndReason.DRAINING, first_seconds + number / RETURNS_A_SECOND)
