"""Gives waiting jobs to providers with free slots, by push: a submit or a freed slot wakes it, nothing polls."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import structlog

from dc1.control.fleet import Fleet
from dc1.control.handout import Handout, requirement_of
from dc1.control.hub import Hub, Moved
from dc1.control.leases import Lease, Leases
from dc1.control.provider import Provider
from dc1.control.sessions import Sessions, StopReason
from dc1.control.waiting import WaitingJob, WaitingJobs
from dc1.domain.clock import Clock
from dc1.domain.jobs import OPEN, JobStatus
from dc1.domain.liveness import Channel
from dc1.domain.placement import Requirement
from dc1.storage import jobs, lifecycle
from dc1.storage.database import Connection, Database
from dc1.storage.job_rows import JobRow, JobSpec

log = structlog.get_logger(__name__)

_CLAIMS_PER_TRANSACTION = 200


@dataclass(frozen=True, slots=True)
class _Match:
    """A waiting job and the provider whose slots were reserved for it in memory."""

    job: WaitingJob
    provider_id: int
    slots: int


class Dispatcher:
    """Owner of the queue and of the slots' reservations in memory; the database has the last word on each claim."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        fleet: Fleet,
        leases: Leases,
        sessions: Sessions,
        hub: Hub,
        offer_timeout_seconds: float,
    ) -> None:
        self._db = db
        self._clock = clock
        self._fleet = fleet
        self._leases = leases
        self._sessions = sessions
        self._hub = hub
        self._offer_timeout_ms = round(offer_timeout_seconds * 1000)
        self.waiting = WaitingJobs()
        self._woken: set[int] = set()
        self._sequences: dict[int, int] = {}
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Read the queue and the leases that were in force when the server last stopped."""
        queued = await self._db.read(jobs.load_queue)
        active = await self._db.read(jobs.load_active)
        for job in queued:
            self._enqueue(job, frozenset())
        for start in range(0, len(active), _CLAIMS_PER_TRANSACTION):
            part = active[start : start + _CLAIMS_PER_TRANSACTION]
            specs = await self._db.read(partial(jobs.specs, job_ids=[job.id for job in part]))
            for job in part:
                self._restore(job, specs[job.id])
                self._fleet.await_return(_provider_of(job))

    def _restore(self, job: JobRow, spec: JobSpec) -> None:
        provider_id = _provider_of(job)
        running = job.started_at_ms is not None
        attempt = job.attempt_number if running else job.attempt_number + 1
        lease = Lease(
            handout=Handout(job, spec, attempt),
            provider_id=provider_id,
            attempt=attempt,
            running=running,
            timeout_at_ms=job.timeout_at_ms,
        )
        self._fleet.occupy(provider_id, job.gpu_count)
        self._leases.add(lease)
        session = self._sessions.get(provider_id)
        if not running and session is not None:
            self._set_answer_time(lease)
            session.offer(lease.handout, self.seconds_to_answer(lease))

    def follow(self, job: JobRow, spec: JobSpec | None) -> None:
        """Follow a job that another replica may have moved; what is older than what is known here changes nothing."""
        lease = self._leases.of_job(job.id)
        if job.event_sequence <= self._known_sequence(job.id, lease):
            return
        self.note(job)
        if job.status == JobStatus.QUEUED:
            self._follow_queued(job, lease)
        elif job.status in OPEN:
            assert spec is not None
            self.waiting.remove(job.id)
            self._follow_lease(job, spec, lease)
        else:
            self.waiting.remove(job.id)
            # No older version of the row can be read after its last one.
            self._sequences.pop(job.id, None)
            stop = StopReason.CANCELLED if job.status == JobStatus.CANCELLED else StopReason.SETTLED
            self.end_lease(job.id, stop)
        self._hub.publish(job.id, Moved())

    def note(self, job: JobRow) -> None:
        """Remember how far a job is, so that an older version of its row that is read later changes nothing."""
        if self._db.is_shared:
            self._sequences[job.id] = job.event_sequence

    def _known_sequence(self, row_id: int, lease: Lease | None) -> int:
        held = 0 if lease is None else lease.handout.job.event_sequence
        return max(held, self._sequences.get(row_id, 0))

    def _follow_queued(self, job: JobRow, lease: Lease | None) -> None:
        if lease is not None:
            self.end_lease(job.id, StopReason.SUPERSEDED)
        avoid = () if job.last_provider_id is None else (job.last_provider_id,)
        self.requeued(job, avoid)

    def _follow_lease(self, job: JobRow, spec: JobSpec, lease: Lease | None) -> None:
        running = job.status == JobStatus.RUNNING
        attempt = job.attempt_number if running else job.attempt_number + 1
        if lease is not None and lease.provider_id == job.provider_id and lease.attempt == attempt:
            lease.running = running
            lease.timeout_at_ms = job.timeout_at_ms
            lease.handout = Handout(job, spec, attempt)
            return
        if lease is not None:
            self.end_lease(job.id, StopReason.SUPERSEDED)
        self._restore(job, spec)

    # Slots

    def place(self, requirement: Requirement, *, prewarm: bool = False, avoid: Collection[int] = ()) -> Provider | None:
        """Reserve slots for a job on the provider that should run it, or return None when none can now."""
        self._fleet.age()
        provider_id = self._fleet.pools.best(requirement, prewarm=prewarm, avoid=avoid)
        if provider_id is None:
            return None
        self._fleet.occupy(provider_id, requirement.gpu_count)
        return self._fleet.known(provider_id)

    def unplace(self, provider_id: int, gpu_count: int) -> None:
        """Give reserved slots back and let somebody else have them."""
        self._fleet.release(provider_id, gpu_count)
        self.wake(provider_id)

    # Jobs in and out

    def submitted(self, job: JobRow, spec: JobSpec, reserved: Provider | None) -> None:
        """Take over a job whose submission is durable: offer it, or let it wait."""
        self.note(job)
        if reserved is not None and job.provider_id == reserved.id:
            self._offer(job, spec)
            return
        if reserved is not None:
            self.unplace(reserved.id, job.gpu_count)
        self.requeued(job)

    def requeued(self, job: JobRow, avoid: Collection[int] = ()) -> None:
        """Let a job wait that has no provider, or none any more."""
        self.note(job)
        self._enqueue(job, frozenset(avoid))
        self._hub.publish(job.id, Moved())
        fitting = self._fleet.pools.best(requirement_of(job), avoid=avoid)
        if fitting is not None:
            self.wake(fitting)

    def forget(self, job: JobRow) -> None:
        """Take a job out of the queue that ended while it waited."""
        self.note(job)
        self.waiting.remove(job.id)

    def end_lease(self, row_id: int, stop: StopReason | None = None) -> Lease | None:
        """Drop the lease of a job, give its slots back and, with a reason, make the daemon stop."""
        lease = self._leases.remove(row_id)
        if lease is None:
            return None
        session = self._sessions.get(lease.provider_id)
        if stop is not None and session is not None:
            session.stop(lease.job_id, lease.attempt, stop)
        self.unplace(lease.provider_id, lease.gpu_count)
        return lease

    def has_work_for(self, provider_id: int | None) -> bool:
        """Tell whether a waiting job will take a free slot of a provider."""
        provider = None if provider_id is None else self._fleet.get(provider_id)
        return provider is not None and self._next_for(provider) is not None

    # Dispatching

    def wake(self, provider_id: int) -> None:
        """Look for work for a provider, soon."""
        self._woken.add(provider_id)
        self._wake.set()

    def wake_fitting(self) -> None:
        """Wake a provider for each thing that is waited for and can be had: heals whatever was missed."""
        for requirement in list(self.waiting.requirements()):
            provider_id = self._fleet.pools.best(requirement)
            if provider_id is not None:
                self.wake(provider_id)

    async def run(self) -> None:
        """Dispatch until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            matches = self._matches()
            while matches:
                await self._claim(matches)
                matches = self._matches()

    def _matches(self) -> list[_Match]:
        """Reserve slots in memory for what the woken providers should run, a transaction's worth at most."""
        self._fleet.age()
        matches: list[_Match] = []
        while self._woken and len(matches) < _CLAIMS_PER_TRANSACTION:
            provider = self._fleet.get(self._woken.pop())
            while provider is not None and len(matches) < _CLAIMS_PER_TRANSACTION:
                job = self._next_for(provider)
                if job is None:
                    break
                self.waiting.remove(job.id)
                self._fleet.occupy(provider.id, job.requirement.gpu_count)
                matches.append(_Match(job, provider.id, provider.slots))
        return matches

    def _next_for(self, provider: Provider) -> WaitingJob | None:
        view = self._fleet.view(provider)
        for job in self.waiting.fitting(view):
            if provider.id not in job.avoid:
                return job
            elsewhere = self._fleet.pools.best(job.requirement, avoid=job.avoid)
            if elsewhere == provider.id:
                return job
            if elsewhere is not None:
                self._woken.add(elsewhere)
        return None

    async def _claim(self, matches: list[_Match]) -> None:
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> list[tuple[JobRow, JobSpec] | None]:
            claimed = [lifecycle.claim(conn, item.job.id, item.provider_id, item.slots, now_ms) for item in matches]
            specs = jobs.specs(conn, [job.id for job in claimed if job is not None])
            return [None if job is None else (job, specs[job.id]) for job in claimed]

        try:
            results = await self._db.write(work)
        except Exception:
            log.exception("claims_failed", jobs=len(matches))
            results = [None] * len(matches)
        # Nothing is awaited before every claim is a lease, so that whoever evicts a provider next finds them all.
        refused = []
        for match, result in zip(matches, results, strict=True):
            if result is None:
                self._fleet.release(match.provider_id, match.job.requirement.gpu_count)
                refused.append(match.job)
            else:
                self._offer(*result)
        for job in refused:
            await self._reconsider(job)

    async def _reconsider(self, job: WaitingJob) -> None:
        """Put a job back whose claim was refused, if it still waits."""
        current = await self._db.read(lambda conn: jobs.get(conn, job.id))
        if current is not None and current.status == JobStatus.QUEUED and self._leases.of_job(job.id) is None:
            self.waiting.add(job)

    def _enqueue(self, job: JobRow, avoid: frozenset[int]) -> None:
        self.waiting.add(
            WaitingJob(
                id=job.id,
                job_id=job.job_id,
                requirement=requirement_of(job),
                pricing_class=job.pricing_class,
                priority=job.priority,
                submitted_at_ms=job.submitted_at_ms,
                prewarm=job.prewarm_requested,
                avoid=avoid,
            )
        )

    def _offer(self, job: JobRow, spec: JobSpec) -> None:
        assert job.provider_id is not None
        attempt = job.attempt_number + 1
        lease = Lease(Handout(job, spec, attempt), job.provider_id, attempt)
        self._leases.add(lease)
        self._set_answer_time(lease)
        self._hub.publish(job.id, Moved())
        session = self._sessions.get(lease.provider_id)
        if session is not None:
            session.offer(lease.handout, self.seconds_to_answer(lease))

    def await_answers(self, provider_id: int) -> None:
        """Start the time to answer of every offer that a daemon finds when its stream opens."""
        for lease in self._leases.of_provider(provider_id):
            if not lease.running and lease.answer_by_ms is None:
                self._set_answer_time(lease)

    def _set_answer_time(self, lease: Lease) -> None:
        # A daemon that polls is given its job when it asks; only a stream is expected to answer.
        provider = self._fleet.known(lease.provider_id)
        if provider.presence.channel is Channel.STREAM:
            lease.answer_by_ms = self._clock.now_ms() + self._offer_timeout_ms

    def seconds_to_answer(self, lease: Lease) -> float:
        """Return how long the daemon may still take to accept an offer."""
        if lease.answer_by_ms is None:
            return self._offer_timeout_ms / 1000
        return max(0.0, (lease.answer_by_ms - self._clock.now_ms()) / 1000)


def _provider_of(job: JobRow) -> int:
    assert job.provider_id is not None
    return job.provider_id
