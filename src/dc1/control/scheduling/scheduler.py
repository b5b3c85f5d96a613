"""Which waiting job goes to which provider with a free slot, decided in memory: the database has the last word."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.job_queue import JobQueue, WaitingJob
from dc1.domain.base.clock import Clock
from dc1.domain.money.machine_terms import MachineTerms


@dataclass(frozen=True, slots=True)
class Match:
    """A waiting job and the provider whose slots, at its `terms`, or calls are reserved for it in memory."""

    job: WaitingJob
    provider_id: int
    slots: int
    terms: MachineTerms
    call_slots: int


class Scheduler:
    """Looks for work for the providers that were woken."""

    def __init__(self, clock: Clock, fleet: Fleet, queue: JobQueue, patience_ms: int) -> None:
        """Another server has `patience_ms` to take a job that a provider here should not have again."""
        self._clock = clock
        self._fleet = fleet
        self._queue = queue
        self._patience_ms = patience_ms
        self._woken: set[int] = set()
        self.wanted = asyncio.Event()
        """Set whenever a provider is woken."""

    def wake(self, provider_id: int) -> None:
        """Note that there may be work for a provider."""
        self._woken.add(provider_id)
        self.wanted.set()

    def wake_fitting(self) -> None:
        """Wake a provider for each thing that is waited for and can be had."""
        for requirement in list(self._queue.requirements()):
            provider_id = self._fleet.availability.local.best(requirement)
            if provider_id is not None:
                self.wake(provider_id)

    def take(self, at_most: int) -> list[Match]:
        """Reserve slots for what the woken providers should run."""
        matches: list[Match] = []
        while self._woken and len(matches) < at_most:
            matches += self.take_for(next(iter(self._woken)), at_most - len(matches))
        return matches

    def take_for(self, provider_id: int, at_most: int) -> list[Match]:
        """Reserve slots for what one provider should run; it stays awake when there may be more for it."""
        self._woken.discard(provider_id)
        matches: list[Match] = []
        provider = self._fleet.get(provider_id)
        while provider is not None and (job := self.next_for(provider)) is not None:
            if len(matches) == at_most:
                self._woken.add(provider_id)
                break
            # Out of the queue and into the slots before anything is written: the next look finds neither again.
            chosen = self._chosen_for(job, provider)
            self._queue.remove(job.id)
            self._fleet.occupy(chosen.id, job.requirement.room)
            matches.append(Match(job, chosen.id, chosen.slots, self._fleet.terms(chosen), chosen.inference_slots))
        return matches

    def undo(self, match: Match) -> None:
        """Give the slots back, and let the job wait again."""
        self._fleet.release(match.provider_id, match.job.requirement.room)
        self._queue.add(match.job)

    def next_for(self, provider: Provider) -> WaitingJob | None:
        """Return the waiting job whose turn it is on a provider, if it has room for one."""
        # Every beat asks, and mostly nobody waits: what placement knows of the machine is not put together for that.
        if not self._queue:
            return None
        return self._queue.first_fitting(self._fleet.view(provider), partial(self._may_have, provider.id))

    def _chosen_for(self, job: WaitingJob, free: Provider) -> Provider:
        """Return who of those whose next job it is should run it.

        Of several that are free, the woken one need not be best.
        """
        best = self._fleet.availability.local.best(job.requirement, prewarm=job.prewarm, avoid=job.avoid)
        for wanted in filter(None, (job.first, best)):
            other = free if wanted == free.id else self._fleet.get(wanted)
            if other is free or (other is not None and self.next_for(other) is job):
                return other
        return free

    def _may_have(self, provider_id: int, job: WaitingJob) -> bool:
        # A job that was just lost or declined must not go round in a circle with the same machine: others here come
        # first, then those of other servers for a while, then it may have it again rather than nobody.
        if provider_id not in job.avoid:
            return True
        other = self._fleet.availability.local.best(job.requirement, avoid=job.avoid)
        if other == provider_id:
            return self._clock.now_ms() >= job.avoid_until_ms and not self._goes_elsewhere(job)
        if other is not None:
            self.wake(other)
        return False

    def _goes_elsewhere(self, job: WaitingJob) -> bool:
        """Tell whether another server has a provider for a job that should not go back to its own.

        It has a while to act.
        """
        if self._clock.now_ms() >= job.since_ms + self._patience_ms:
            return False
        other = self._fleet.availability.remote.best(job.requirement, avoid=job.avoid)
        return other is not None and other not in job.avoid


class Declines:
    """Who declined which waiting job lately, and until when each of them is not asked again."""

    def __init__(self) -> None:
        self._until_ms: dict[int, dict[int, int]] = {}

    def note(self, row_id: int, provider_id: int, until_ms: int, now_ms: int) -> Collection[int]:
        """Note a refusal, and return everybody whose refusal still counts."""
        # With those who declined it before: two that decline whatever comes would pass it to and fro without a pause,
        # and each time is a row in the job's lifecycle.
        before = self._until_ms.pop(row_id, {})
        still = {other: until for other, until in before.items() if until > now_ms} | {provider_id: until_ms}
        self._until_ms[row_id] = still
        self._forget(now_ms)
        return still

    def _forget(self, now_ms: int) -> None:
        # In the order of the last refusal, so whatever is over is in front.
        while self._until_ms:
            oldest = next(iter(self._until_ms))
            if max(self._until_ms[oldest].values()) > now_ms:
                return
            del self._until_ms[oldest]
