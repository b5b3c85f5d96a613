"""What a job would cost, where it could run and how long it would wait, without ordering it."""

from dataclasses import dataclass

from dc1.control.fleet.outlook import Outlook, obstacle_in_words, outlook
from dc1.control.fleet.quotes import Quote
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_queue import JobQueue
from dc1.control.scheduling.leases import Lease
from dc1.domain.jobs.placement import Requirement

ITS_TURN = "its turn: other jobs come first"


@dataclass(frozen=True, slots=True)
class Estimate:
    """The terms of an order, who could run it, and for how long it waits, None where nobody can tell."""

    quote: Quote
    outlook: Outlook
    wait_seconds: int | None


class Estimates:
    """Looks at orders and at jobs that wait; nothing is changed by it."""

    def __init__(self, core: Core, queue: JobQueue) -> None:
        self._fleet = core.fleet
        self._leases = core.leases
        self._clock = core.clock
        self._queue = queue

    def estimate(self, quote: Quote, pricing_class: str, priority: int) -> Estimate:
        """Return what is to be expected of an order with these terms."""
        seen = outlook(self._fleet, quote.requirement)
        position = self._queue.position_of_new(quote.requirement, pricing_class, priority)
        return Estimate(quote, seen, self._wait_seconds(seen, position))

    def waiting_for(self, requirement: Requirement) -> str:
        """Return in words what a job in the queue waits for."""
        # With room for it, those that came before it or count for more have their turn.
        return obstacle_in_words(self._fleet, requirement) or ITS_TURN

    def _wait_seconds(self, seen: Outlook, position: int) -> int | None:
        if seen.free:
            return 0
        # By their deadlines, which is the latest that they can end: nobody knows how much of its time a run will use.
        ends_ms = sorted(self._end_ms(lease) for machine in seen.fitting for lease in self._leases.of_provider(machine))
        if not ends_ms:
            return None
        turn_ms = ends_ms[min(position, len(ends_ms)) - 1]
        return max(0, -((self._clock.now_ms() - turn_ms) // 1000))

    def _end_ms(self, lease: Lease) -> int:
        if lease.timeout_at_ms is not None:
            return lease.timeout_at_ms
        return self._clock.now_ms() + lease.assignment.job.run_deadline_seconds * 1000
