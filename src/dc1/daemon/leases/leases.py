"""The leases a daemon holds, and what the server has not been told of them yet."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import structlog

from dc1.containment import contained
from dc1.daemon.leases.log_buffer import LogBatch, LogBuffer
from dc1.daemon.leases.token_buffer import TokenBatch, TokenBuffer
from dc1.daemon.leases.token_pace import TokenPace
from dc1.daemon.runners.base import Level, Result, RunFailed, Work
from dc1.domain.jobs.states import ErrorCategory, Phase

DRAIN_SECONDS = 20.0
"""How long a run's end waits for its log, at the most: the renter waits for the result meanwhile."""

_SPARE_SECONDS = 2.0
"""The end is to be with the server so long before the job's deadline, which settles it as a failure."""


log = structlog.get_logger(__name__)


class LeaseState(StrEnum):
    """How far the daemon is with a lease."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class PhaseEntered:
    """The run entered a phase."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How the run ended, and the seconds it took by the daemon's clock."""

    end: Result | RunFailed
    seconds: float


LeaseOutput = PhaseEntered | LogBatch | TokenBatch | AttemptEnd
"""What the server is told of a run."""


class HeldLease:
    """One attempt at one job. Times are seconds of any monotonic clock."""

    def __init__(self, work: Work, slots: int = 1) -> None:
        """`slots` is how many of the provider's slots it occupies."""
        self.work = work
        self.slots = slots
        self.state = LeaseState.ACCEPTED
        self.logs = LogBuffer()
        self.tokens = TokenBuffer()
        self._phase: Phase | None = None
        self._phase_at: float | None = None
        self._ended: AttemptEnd | None = None
        self._ended_at = self._drain_until = 0.0
        self._deadline = float("inf")
        self._ended_sent_at: float | None = None

    @property
    def job_id(self) -> str:
        """Public id of the job."""
        return self.work.job_id

    @property
    def attempt(self) -> int:
        """Number of the attempt."""
        return self.work.attempt

    @property
    def took(self) -> dict[str, float]:
        """The seconds that a run took which has ended, for a log line."""
        return {} if self._ended is None else {"seconds": self._ended.seconds}

    def log(self, level: Level, message: str, now: float) -> None:
        """Take a log line of the run."""
        # A runner that is slow to stop may go on writing after its end was noted.
        if self.state is LeaseState.RUNNING:
            self.logs.append(level, message, now)

    def say(self, event: str, text: str, now: float, *, is_last: bool = False) -> None:
        """Take what the run said: an event of an engine or none, and the text that it adds."""
        if self.state is LeaseState.RUNNING:
            self.tokens.append(text, now, event, is_last=is_last)

    def enter(self, phase: Phase, now: float) -> None:
        """Note the run's phase. Only the present one is ever told."""
        if self.state is LeaseState.RUNNING and phase is not self._phase:
            self._phase, self._phase_at = phase, now

    def finish(self, ended: AttemptEnd, now: float, deadline: float = float("inf")) -> None:
        """Note the run's end. It is told after all else, again and again until its receipt.

        It waits for the log for 20 s at the most, and not so long that it would come after the job's `deadline`.
        """
        self.state = LeaseState.ENDED
        self._ended, self._ended_at, self._deadline = ended, now, deadline
        self._drain_until = now + self._drain_seconds(now)
        # With the end nothing more comes, so nothing is worth waiting for.
        self.logs.close()

    def spoil(self, failure: RunFailed, now: float) -> None:
        """End as a failure, without its output: something in it cannot be told."""
        seconds = self._ended.seconds if self._ended is not None else 0.0
        self.release()
        self._phase = self._phase_at = self._ended_sent_at = None
        self.tokens, self.logs = TokenBuffer(), LogBuffer()
        self.finish(AttemptEnd(failure, seconds), now)

    def due_at(self) -> float | None:
        """Return when something may be told; None while there is nothing to tell."""
        if self._ended is not None:
            if not self._unsent:
                return None
            return self._drain_until if self._waits_for_receipts else self._ended_at
        due, said = self._phase_at, self.tokens.due_at()
        # Asked of every lease before each message.
        if said is not None and (due is None or said < due):
            due = said
        printed = self.logs.due_at() if self.logs.is_used else None
        return printed if printed is not None and (due is None or printed < due) else due

    def take(self, now: float) -> LeaseOutput | None:
        """Return the next thing to tell, if one is due."""
        ended = self._ended is not None
        if self._phase is not None and self._phase_at is not None:
            self._phase_at = None
            return PhaseEntered(self._phase)
        if (due := self.logs.due_at()) is not None and (ended or due <= now):
            return self.logs.take(now)
        if (due := self.tokens.due_at()) is not None and (ended or due <= now):
            return self.tokens.take(now)
        if self._waits_for_receipts:
            if now < self._drain_until:
                return None
            self.logs.cut_short()
            return self.logs.take(now)
        # Last: it settles the job, and with the receipt of it the log is forgotten.
        if self._ended is not None and self._ended_sent_at is None:
            self._ended_sent_at = now
            return self._ended
        return None

    def resend(self, before: float = float("inf")) -> None:
        """Make due again what was sent before that time and has no receipt."""
        # Tokens have no receipts: those that a broken stream swallowed are in the result.
        self.logs.resend(before)
        if self._ended_sent_at is not None and self._ended_sent_at < before:
            self._ended_sent_at = None

    def reattach(self, now: float) -> None:
        """Make due again all that a lost connection may have swallowed."""
        self.resend()
        # While there was no connection the log could not drain.
        self._drain_until = now + self._drain_seconds(now)
        if self._phase is not None:
            self._phase_at = now

    def hasten(self, now: float) -> None:
        """Let the end wait for the log no longer than two seconds: the daemon ends soon after."""
        self._drain_until = min(self._drain_until, now + _SPARE_SECONDS)

    def release(self) -> None:
        """Give back what the lease holds on the disk; nothing is told of it any more."""
        try:
            with contained():
                self.logs.release()
        except Exception:
            # What a disk does not take back goes with this process; the lease is over whatever the disk does.
            log.exception("log_not_released", job_id=self.job_id, attempt=self.attempt)

    def _drain_seconds(self, now: float) -> float:
        left = self._deadline - now
        # After the deadline the job is settled whatever comes, so the log may take its time.
        return DRAIN_SECONDS if left <= 0 else max(0.0, min(DRAIN_SECONDS, left - _SPARE_SECONDS))

    @property
    def _waits_for_receipts(self) -> bool:
        # Of log lines only: what else there is goes out at once.
        return (
            self._ended is not None
            and self._phase_at is None
            and not self.tokens
            and self.logs.unsent
            and self.logs.due_at() is None
        )

    @property
    def _unsent(self) -> bool:
        return self._ended_sent_at is None or self.logs.unsent or bool(self.tokens) or self._phase_at is not None


class LeaseTable:
    """Every lease held; at most one attempt at a job. `pace` is that of what they all say."""

    def __init__(self) -> None:
        self._leases: dict[str, HeldLease] = {}
        self.pace = TokenPace(self.__len__)
        self._line: deque[HeldLease] = deque()

    def __len__(self) -> int:
        return len(self._leases)

    def __iter__(self) -> Iterator[HeldLease]:
        # A copy, as callers forget leases while they go through them.
        return iter(tuple(self._leases.values()))

    def of_job(self, job_id: str) -> HeldLease | None:
        """Return the lease on a job, whatever its attempt."""
        return self._leases.get(job_id)

    def find(self, job_id: str, attempt: int) -> HeldLease | None:
        """Return the lease on just that attempt."""
        lease = self._leases.get(job_id)
        return lease if lease is not None and lease.attempt == attempt else None

    def hold(self, lease: HeldLease) -> None:
        """Add a lease, in place of any other on the same job."""
        self._leases[lease.job_id] = lease
        lease.tokens.pace = self.pace

    def forget(self, lease: HeldLease) -> None:
        """Remove a lease; one that is not held is left alone."""
        if self._leases.get(lease.job_id) is lease:
            del self._leases[lease.job_id]

    @property
    def slots_used(self) -> int:
        """Slots of the leases whose work has not ended."""
        # An ended run waits for its receipt only, and holds no GPU meanwhile.
        return sum(lease.slots for lease in self if lease.state is not LeaseState.ENDED)

    def due_at(self) -> float | None:
        """Return when something may be told; None while there is nothing to tell."""
        return min((due for lease in self if (due := lease.due_at()) is not None), default=None)

    def take(self, now: float) -> tuple[HeldLease, LeaseOutput] | None:
        """Return the next thing to tell, of the lease that waits longest; None when nothing is due."""
        if (found := self._first(now)) is not None:
            return found
        # By the time at which each came due: a run that floods keeps no other from being heard. Lined up once for an
        # output of each, as a look at every lease for every output would grow by the square of their number.
        waiting = [(due, lease) for lease in self if (due := lease.due_at()) is not None and due <= now]
        self._line = deque(lease for _, lease in sorted(waiting, key=lambda entry: entry[0]))
        return self._first(now)

    def _first(self, now: float) -> tuple[HeldLease, LeaseOutput] | None:
        """Return the output of the first in line that still has one."""
        while self._line:
            lease = self._line.popleft()
            if self._leases.get(lease.job_id) is lease and (output := self._taken(lease, now)) is not None:
                return lease, output
        return None

    def _taken(self, lease: HeldLease, now: float) -> LeaseOutput | None:
        try:
            with contained():
                return lease.take(now)
        except Exception:
            # It alone is given up: the others are told on the same stream, which would end by it again and again.
            log.exception("output_unreadable", job_id=lease.job_id, attempt=lease.attempt)
            lease.spoil(RunFailed(ErrorCategory.ENGINE, "the output of the run was lost", transient=True), now)
            return None

    def resend(self, before: float) -> None:
        """Make due again what was sent before that time and has no receipt."""
        for lease in self:
            lease.resend(before)

    def reattach(self, now: float) -> None:
        """Make due again all that a lost connection may have swallowed."""
        for lease in self:
            lease.reattach(now)
