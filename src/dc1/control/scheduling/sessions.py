"""The open streams, one a provider, and what is offered on them before it is durable."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dc1.control.beat_pace import BeatPace
from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.probe_messages import ProbeMessage

_MOST_EARLY_SECONDS = 1.0
"""A hold that takes longer to the disk is not waited for: beats of the daemon would wait behind its acceptance."""


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

    def end(self, reason: EndReason) -> None:
        """Tell the daemon why, then end the stream."""
        ...


class Sessions:
    """Who holds a stream. A newer stream of a provider replaces the older one."""

    def __init__(self) -> None:
        self._open: dict[int, Session] = {}
        self.draining = False
        self.pace = BeatPace()

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

    def send_away(self) -> None:
        """Tell every daemon to open a new stream elsewhere."""
        for session in self:
            session.end(EndReason.DRAINING)


@dataclass(frozen=True, slots=True)
class EarlyOffer:
    """A call that was offered at a time on a stream while its hold was being committed."""

    session: Session
    assignment: Assignment
    at_ms: int
    known: asyncio.Event
    """Set once it is durable, or called off."""

    giving_up: asyncio.TimerHandle


class EarlyOffers:
    """Offers of calls that left before their holds were durable, so that engines begin while the disk writes.

    What a daemon says of one waits until that is known: until then nobody is told of the call, and nothing of it is
    stored, relayed or acknowledged. One that is not to be is stopped.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._offers: dict[str, EarlyOffer] = {}
        self._called_off: set[str] = set()
        """Those that were stopped and whose commit is still on its way, after which they are offered again."""

    def send(self, provider_id: int, assignment: Assignment, expires_in_seconds: float, now_ms: int) -> None:
        """Offer a call on the provider's stream, if it has one here and begins calls so.

        A transaction that runs again offers it again, which the daemon knows, unless it has another row by then.
        """
        job_id, session = assignment.job.job_id, self._sessions.get(provider_id)
        before = self._offers.get(job_id)
        if before is not None:
            if before.assignment.job.id != assignment.job.id:
                self._call_off(job_id)
            return
        # Who waits for a Start would have that no earlier, and once is enough to be stopped.
        if session is None or not session.begins_calls or job_id in self._called_off:
            return
        giving_up = asyncio.get_running_loop().call_later(_MOST_EARLY_SECONDS, self._call_off, job_id)
        self._offers[job_id] = EarlyOffer(session, assignment, now_ms, asyncio.Event(), giving_up)
        session.offer(assignment, expires_in_seconds)

    async def stands(self, job_id: str) -> bool:
        """Wait until it is known of a job that was offered early whether it is to be; False where nothing is answered.

        Of one that is stopped and will be offered again: any answer would be taken for one to the next offer of it.
        """
        if (early := self._offers.get(job_id)) is not None:
            await early.known.wait()
        return job_id not in self._called_off

    def confirm(self, job_id: str) -> EarlyOffer | None:
        """Return how a job was offered early that is durable now; None where it has to be offered on the stream."""
        early = self._end(job_id)
        self._called_off.discard(job_id)
        if early is None or self._sessions.get(early.session.provider_id) is not early.session:
            return None
        return early

    def withdraw(self, job_id: str) -> None:
        """Stop a job that is not to be, if it was offered early."""
        self._called_off.discard(job_id)
        if (early := self._end(job_id)) is not None:
            early.session.stop(job_id, early.assignment.attempt, StopReason.WITHDRAWN)

    def _call_off(self, job_id: str) -> None:
        """Stop a job that is not to be yet."""
        self.withdraw(job_id)
        self._called_off.add(job_id)

    def _end(self, job_id: str) -> EarlyOffer | None:
        early = self._offers.pop(job_id, None)
        if early is not None:
            early.giving_up.cancel()
            early.known.set()
        return early
