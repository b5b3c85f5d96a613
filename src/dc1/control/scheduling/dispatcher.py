"""Gives waiting jobs to providers with free slots, by push: a submit or a freed slot wakes it, nothing polls."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import structlog

from dc1.control.failures import level_of
from dc1.control.fleet.provider import Provider
from dc1.control.periodic import whenever
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.early_offers import EarlyOffer, EarlyOffers
from dc1.control.scheduling.engine_health import EngineHealth
from dc1.control.scheduling.engine_speed import EngineSpeeds
from dc1.control.scheduling.estimates import Estimates
from dc1.control.scheduling.job_feed import StateChanged
from dc1.control.scheduling.job_queue import JobQueue, WaitingJob
from dc1.control.scheduling.job_versions import JobVersions
from dc1.control.scheduling.leases import AnswerTimes, Assignment, Lease
from dc1.control.scheduling.scheduler import Declines, Match, Scheduler
from dc1.control.scheduling.sessions import StopReason
from dc1.domain.inference.relayed_pace import RelayedPace
from dc1.domain.jobs.placement import Requirement, Room
from dc1.domain.jobs.queue_order import queue_key
from dc1.domain.jobs.states import OPEN, JobSource, JobStatus
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.jobs.job_records import JobRow, JobSpec

log = structlog.get_logger(__name__)

_CLAIMS_PER_TRANSACTION = 200


class Dispatcher:
    """Owner of the queue and of the slots' reservations in memory; the database has the last word on each claim."""

    def __init__(self, core: Core) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._leases = core.leases
        self._sessions = core.sessions
        self._job_feed = core.job_feed
        self._job_watch = core.job_watch
        self._run_counts = core.run_counts
        self._job_traces = core.job_traces
        self._offer_timeout_ms = round(core.config.offer_timeout_seconds * 1000)
        self.answers = AnswerTimes(core.clock, core.fleet, core.leases, self._offer_timeout_ms)
        self.early = EarlyOffers(core.sessions)
        self.queue = JobQueue()
        self.estimates = Estimates(core, self.queue)
        self._scheduler = Scheduler(core.clock, core.fleet, self.queue, self._offer_timeout_ms)
        self.versions = JobVersions()
        self._declines = Declines()
        self._dispatching = asyncio.Lock()
        self.tell_of_room: Callable[[], None] = lambda: None
        """Called when there may be room for who waits in no queue of ours."""
        self.found_nothing: Callable[[], None] = lambda: None
        """Called when nothing waits here for those that were woken."""
        self.next_of: Callable[[JobRow, frozenset[int]], int | None] = lambda job, avoid: None
        """Who shall have a job next that waits again, None for nobody now."""
        self.tell_others: Callable[[JobRow, int | None, bool], None] = lambda job, held_by, waited: None
        """Called with each job that was moved here, who had it before, and whether it may wait in others' queues."""
        self.leaves: Callable[[JobRow], bool] = lambda job: False
        """Tell whether another server serves a job, and this one has nothing to do with it."""
        self.speeds = EngineSpeeds(core.clock, core.run_counts)
        self.health = EngineHealth(core.clock, core.config.completion_timeout_seconds * 1000)

    async def load(self) -> None:
        """Read the queue and the leases that were in force when the server last stopped."""
        queued = await self._db.read(jobs.load_queue)
        active = [job for job in await self._db.read(jobs.load_active) if not self.leaves(job)]
        for job in queued:
            self.learn(job, heard=True)
            self._enqueue(job, job.losers)
        for start in range(0, len(active), _CLAIMS_PER_TRANSACTION):
            part = active[start : start + _CLAIMS_PER_TRANSACTION]
            specs = await self._db.read(partial(jobs.specs, job_ids=[job.id for job in part]))
            for job in part:
                # A provider that another replica registered since the fleet was read comes with the feed, and its job
                # too.
                provider = self._fleet.get(_provider_of(job))
                if provider is not None and self.learn(job, heard=True):
                    self.queue.remove(job.id)
                    self._restore(job, specs[job.id])
                    self._fleet.presence.await_return(provider)

    def _restore(self, job: JobRow, spec: JobSpec) -> None:
        provider_id = _provider_of(job)
        running = job.started_at_ms is not None
        attempt = job.attempt_number if running else job.attempt_number + 1
        lease = Lease(
            assignment=Assignment(job, spec, attempt),
            provider_id=provider_id,
            attempt=attempt,
            found_ms=self._clock.now_ms(),
            running=running,
            timeout_at_ms=job.timeout_at_ms,
            pace=None if running else RelayedPace.begun(job.source, self._clock.now_ms()),
        )
        self._fleet.occupy(provider_id, job.room)
        self._leases.add(lease)
        session = self._sessions.get(provider_id)
        if not running and session is not None:
            self.answers.expect(lease)
            session.offer(lease.assignment, self.answers.seconds_left(lease))

    def learn(self, job: JobRow, *, heard: bool = False, waited: bool = False) -> bool:
        """Note a job as it was stored; False when memory has followed it that far already.

        `heard` of from another server, it is nothing to tell the others; `waited` says that it did until now.
        """
        if not self.versions.learn(job):
            return False
        lease = self._leases.of_job(job.id)
        if not heard:
            held_by = None if lease is None else lease.provider_id
            self.tell_others(job, held_by, waited or job.id in self.queue)
        # A phase of a run that another server heard comes here, too, and begins nothing.
        is_known = lease is not None and lease.running and lease.attempt == job.attempt_number
        starts = job.status == JobStatus.RUNNING and not is_known
        self._job_watch.moved(job, starts=starts, heard=heard)
        return True

    def tell(self, job: JobRow) -> None:
        """Tell whoever watches a job that its run goes on, in another phase or served somewhere."""
        self.versions.learn(job)
        self._job_feed.publish(job.id, StateChanged())
        self._job_watch.moved(job)

    def follow(self, job: JobRow, spec: JobSpec | None, *, heard: bool = False) -> None:
        """Follow a job that another replica may have moved; what is older than what is known here changes nothing."""
        if not self.learn(job, heard=heard):
            return
        if job.status == JobStatus.QUEUED:
            self.end_lease(job.id, StopReason.SUPERSEDED)
            self.requeued(job, job.losers)
        elif job.status in OPEN:
            assert spec is not None
            self.queue.remove(job.id)
            self._follow_lease(job, spec, self._leases.of_job(job.id))
        else:
            self.queue.remove(job.id)
            stop = StopReason.CANCELLED if job.status == JobStatus.CANCELLED else StopReason.SETTLED
            self.end_lease(job.id, stop)
        self._job_feed.publish(job.id, StateChanged())

    def _follow_lease(self, job: JobRow, spec: JobSpec, lease: Lease | None) -> None:
        running = job.status == JobStatus.RUNNING
        attempt = job.attempt_number if running else job.attempt_number + 1
        if lease is not None and lease.provider_id == job.provider_id and lease.attempt == attempt:
            # As it was offered is an older word than that of a run here which is stored later.
            if running or lease.unstored is None:
                self._leases.set_running(lease, running=running)
                lease.timeout_at_ms = job.timeout_at_ms
            lease.assignment = Assignment(job, spec, attempt)
            return
        if lease is not None:
            self.end_lease(job.id, StopReason.SUPERSEDED)
        if self.leaves(job):
            self.versions.end(job.id, job.event_sequence)
        else:
            self._restore(job, spec)

    def take_over(self, job: JobRow, spec: JobSpec) -> None:
        """Know a job of a machine that this server serves from now on, be it that it heard of the job before."""
        if self._leases.of_job(job.id) is not None:
            self.follow(job, spec, heard=True)
            return
        self.versions.follow_again(job)
        if self.learn(job, heard=True):
            self.queue.remove(job.id)
            self._restore(job, spec)

    # Slots

    def place(
        self, requirement: Requirement, *, prewarm: bool = False, before: tuple[int, ...] | None = None
    ) -> Provider | None:
        """Reserve slots for a job on the provider that should run it, or return None when none can now.

        With `before`, the job's place in the order, slots that a waiting job is about to get are not given away.
        """
        self._fleet.presence.age()
        provider_id = self._fleet.availability.local.best(requirement, prewarm=prewarm)
        if provider_id is None:
            return None
        provider = self._fleet.known(provider_id)
        first = None if before is None else self._scheduler.next_for(provider)
        if first is not None and before is not None and queue_key(first) < before:
            self.wake(provider_id)
            return None
        self._fleet.occupy(provider_id, requirement.room)
        return provider

    def unplace(self, provider_id: int, room: Room) -> None:
        """Give reserved slots back and let somebody else have them."""
        self._fleet.release(provider_id, room)
        self.wake(provider_id)

    # Jobs in and out

    def offer_early(self, job: JobRow, spec: JobSpec) -> None:
        """Offer a call whose hold is being committed; `submitted` or `EarlyOffers.withdraw` has to follow."""
        self._job_traces.note(job)
        self.early.send(_provider_of(job), self._given(job, spec), self._offer_timeout_ms / 1000, self._clock.now_ms())

    def submitted(self, job: JobRow, spec: JobSpec, reserved: Provider | None) -> None:
        """Take over a job whose submission is durable: offer it, or let it wait."""
        early, is_news = self.early.confirm(job.job_id), self.learn(job)
        if is_news and reserved is not None and job.provider_id == reserved.id:
            self._offer(job, spec, early)
            return
        if reserved is not None:
            self.unplace(reserved.id, job.room)
        if is_news:
            self.requeued(job)

    def requeued(self, job: JobRow, avoid: Collection[int] = (), avoid_until_ms: int = 0) -> None:
        """Let a job wait that has no provider, or none any more; a /v1 call ended instead."""
        if job.status != JobStatus.QUEUED:
            self._job_feed.publish(job.id, StateChanged())
            return
        avoided = job.losers.union(avoid)
        if job.source is JobSource.V1:
            avoided |= self.health.shunned(job.model or "", job.renter_id)
        fitting = self.next_of(job, avoided)
        self._enqueue(job, avoided, avoid_until_ms, fitting if job.source is JobSource.V1 else None)
        self._job_feed.publish(job.id, StateChanged())
        if fitting is not None:
            self.wake(fitting)

    def declined(self, job: JobRow, provider_id: int) -> None:
        """Let a job wait that its provider will not run; asked again at once, it would say the same."""
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._offer_timeout_ms
        still = self._declines.note(job.id, provider_id, until_ms, now_ms)
        self.requeued(job, still, until_ms)

    def forget(self, job: JobRow) -> None:
        """Take a job out of the queue that ended while it waited."""
        self.queue.remove(job.id)

    def gone(self, row_id: int, event_sequence: int) -> None:
        """Let a job wait here no more that somebody elsewhere has by that version of it, or that ended there."""
        if self.versions.is_newer(row_id, event_sequence) and self.queue.remove(row_id) is not None:
            # As far as before that version, which is still news where the machine that has the job came here meanwhile.
            self.versions.end(row_id, event_sequence - 1)

    def end_lease(self, row_id: int, stop: StopReason | None = None) -> Lease | None:
        """Drop the lease of a job, give its slots back and, with a reason, make the daemon stop."""
        lease = self._leases.remove(row_id)
        if lease is None:
            return None
        session = self._sessions.get(lease.provider_id)
        if lease.pace is not None:
            model = lease.assignment.job.model or ""
            self.speeds.note(lease.provider_id, model, lease.pace, is_here=session is not None)
        if stop is not None and session is not None:
            session.stop(lease.job_id, lease.attempt, stop)
        self.unplace(lease.provider_id, lease.room)
        return lease

    def has_work_for(self, provider_id: int | None) -> bool:
        """Tell whether a waiting job will take a free slot of a provider."""
        provider = None if provider_id is None else self._fleet.get(provider_id)
        return provider is not None and self._scheduler.next_for(provider) is not None

    # Dispatching

    def wake(self, provider_id: int) -> None:
        """Look for work for a provider, soon."""
        # Every beat asks, and mostly nobody waits here: a round for that is four turns of the loop.
        if self.queue:
            self._scheduler.wake(provider_id)
        else:
            self.found_nothing()
        self.tell_of_room()

    def wake_fitting(self) -> None:
        """Look for providers for everything that is waited for: heals whatever was missed."""
        self._scheduler.wake_fitting()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        # A round that fails waits for the next wake-up, which the reaper's timers bring at the latest.
        await whenever(self._scheduler.wanted, self.dispatch)

    async def dispatch(self) -> None:
        """Give waiting jobs to the woken providers until there is nothing left to give."""
        while await self._round(self._scheduler.take):
            pass

    async def serve(self, provider_id: int) -> None:
        """Give a provider what it can have now; what was on its way to it has arrived when this returns.

        Whoever waits for one provider does not wait until nobody else wants anything.
        """
        self.wake(provider_id)
        await self._round(partial(self._scheduler.take_for, provider_id))

    async def _round(self, take: Callable[[int], list[Match]]) -> bool:
        """Claim what `take` reserves, once no other claim is under way; tell whether there was anything."""
        async with self._dispatching:
            self._fleet.presence.age()
            matches = take(_CLAIMS_PER_TRANSACTION)
            if not matches:
                self.found_nothing()
                return False
            try:
                await self._claim(matches)
            except Exception as error:
                # What cannot be claimed now is tried again when the next timer wakes a provider for it. What was
                # claimed after all, as nobody could tell, comes with the feed.
                level_of(error, log)("claims_failed", jobs=len(matches))
                for match in matches:
                    if self._leases.of_job(match.job.id) is None:
                        self._scheduler.undo(match)
                    else:
                        # The feed was first, and took slots of its own.
                        self._fleet.release(match.provider_id, match.job.requirement.room)
                return False
            return True

    async def _claim(self, matches: list[Match]) -> None:
        # Reserved in memory is not claimed: other replicas and submissions write to the same rows, and what the
        # database refuses comes back. Many in one transaction, because the commit is what takes time.
        now_ms = self._clock.now_ms()
        claims = [lifecycle.Claim(m.job.id, m.provider_id, m.slots, m.terms, m.call_slots) for m in matches]

        def work(conn: Connection) -> tuple[list[tuple[JobRow, JobSpec] | None], set[int]]:
            claimed = lifecycle.claim_all(conn, claims, now_ms)
            specs = jobs.specs(conn, [job.id for job in claimed if job is not None])
            refused = [jobs.get(conn, item.job.id) for item, job in zip(matches, claimed, strict=True) if job is None]
            still_queued = {job.id for job in refused if job is not None and job.status == JobStatus.QUEUED}
            return [None if job is None else (job, specs[job.id]) for job in claimed], still_queued

        results, still_queued = await self._db.write(work)
        self._run_counts.claimed(results)
        for match, result in zip(matches, results, strict=True):
            if result is not None and self.learn(result[0], waited=True):
                self._offer(*result)
                continue
            # Also when the claim succeeded and the feed told of it first: `follow` has taken slots for the lease by
            # itself, and those that were reserved for it here are too many.
            self._fleet.release(match.provider_id, match.job.requirement.room)
            if match.job.id in still_queued and self._leases.of_job(match.job.id) is None:
                self.queue.add(match.job)
            else:
                # Somebody else has the job; the slot that was kept for it is free for the next one.
                self.wake(match.provider_id)

    def _enqueue(self, job: JobRow, avoid: frozenset[int], avoid_until_ms: int = 0, first: int | None = None) -> None:
        # It may wait here still, if all that happened since happened on another server.
        self.queue.remove(job.id)
        self.queue.add(
            WaitingJob(
                id=job.id,
                job_id=job.job_id,
                requirement=job.requirement,
                pricing_class=job.pricing_class,
                priority=job.priority,
                submitted_at_ms=job.submitted_at_ms,
                prewarm=job.prewarm_requested,
                since_ms=self._clock.now_ms(),
                avoid=avoid,
                avoid_until_ms=avoid_until_ms,
                first=first,
            )
        )

    def _given(self, job: JobRow, spec: JobSpec) -> Assignment:
        return Assignment(job, spec, job.attempt_number + 1, self._job_traces.dispatched(job))

    def _offer(self, job: JobRow, spec: JobSpec, early: EarlyOffer | None = None) -> None:
        provider_id = _provider_of(job)
        if job.source is JobSource.V1:
            self.health.given(provider_id, job.model or "", job.renter_id)
        # As it is stored: a transaction that ran again may hold other credit for it than when it was offered.
        given = self._given(job, spec) if early is None else replace(early.assignment, job=job)
        pace = RelayedPace.begun(job.source, self._clock.now_ms() if early is None else early.at_ms)
        lease = Lease(given, provider_id, given.attempt, pace=pace, has_caller=early is not None)
        self._run_counts.offered()
        self._leases.add(lease)
        self.answers.expect(lease)
        self._job_feed.publish(job.id, StateChanged())
        session = self._sessions.get(provider_id)
        if session is not None and early is None:
            session.offer(lease.assignment, self.answers.seconds_left(lease))


def _provider_of(job: JobRow) -> int:
    assert job.provider_id is not None
    return job.provider_id
