"""What is offered on streams before it is durable."""

import asyncio
from dataclasses import dataclass

from dc1.control.scheduling.leases import Assignment
from dc1.control.scheduling.sessions import Session, Sessions, StopReason

_MOST_EARLY_SECONDS = 1.0
"""A hold that takes longer to the disk is not waited for: beats of the daemon would wait behind its acceptance."""


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
