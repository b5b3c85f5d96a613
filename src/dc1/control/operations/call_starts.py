"""Starts of /v1 calls, which memory knows at once and the database a moment later: by then most calls have ended.

A server that is killed meanwhile leaves an offered job, whose hold goes back as that of a run would. Whatever else than
its own end happens to such a call is written after its start.
"""

from dataclasses import replace

import structlog

from dc1.control.failures import level_of
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.leases import Lease
from dc1.domain.jobs.states import JobSource, JobStatus, Phase
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import claims, lifecycle
from dc1.storage.jobs.claims import UnstoredStart
from dc1.storage.jobs.job_records import JobRow

log = structlog.get_logger(__name__)


class CallStarts:
    """The starts that are not stored yet, each in the lease of its call."""

    def __init__(self, core: Core, dispatcher: Dispatcher) -> None:
        self._db = core.db
        self._clock = core.clock
        self._leases = core.leases
        self._job_feed = core.job_feed
        self._dispatcher = dispatcher
        self._run_counts = core.run_counts
        self._old: set[tuple[int, int]] = set()

    def begin(self, lease: Lease) -> bool:
        """Let an offered call run before its start is stored; False for a job that others than its caller follow.

        Another server could take a call for one that waits whose caller it has.
        """
        job = lease.assignment.job
        is_read = lease.has_caller or self._job_feed.has_caller(lease.row_id)
        is_call = job.source is JobSource.V1 and is_read
        if not is_call or not self._leases.is_current(lease):
            return False
        now_ms = self._clock.now_ms()
        lease.unstored = UnstoredStart(lease.row_id, lease.provider_id, lease.attempt, now_ms)
        lease.timeout_at_ms = claims.run_ends_by_ms(job, now_ms)
        self._leases.set_running(lease, running=True)
        self._run_counts.started(job, now_ms)
        return True

    def enter(self, lease: Lease, phase: Phase) -> JobRow:
        """Note the phase of a call whose start is not stored, and return the job as it will be."""
        assert lease.unstored is not None
        if lease.unstored.phase is not phase:
            lease.unstored = replace(lease.unstored, phase=phase, phase_at_ms=self._clock.now_ms())
        return replace(
            lease.assignment.job, status=JobStatus.RUNNING, attempt_number=lease.attempt, progress_phase=phase
        )

    async def store(self, *row_ids: int) -> None:
        """Store the starts of those jobs that have begun, for whoever changes them otherwise than by their own end.

        Several are named in the order of their ids, in which rows are locked.
        """
        leases = (self._leases.of_job(row_id) for row_id in row_ids)
        found = [(lease, self._start_of(lease)) for lease in leases if lease is not None]
        starts = [(lease, start) for lease, start in found if start is not None]
        if not starts:
            return
        begun = [start for _, start in starts]
        jobs = await self._db.write(lambda conn: claims.store_starts(conn, begun))
        for (lease, start), job in zip(starts, jobs, strict=True):
            later, lease.unstored = lease.unstored, None
            # Of one that was moved meanwhile whoever moved it tells.
            if job is not None:
                self._dispatcher.follow(job, lease.assignment.spec)
                await self._store_phase(lease, start, later)

    async def _store_phase(self, lease: Lease, stored: UnstoredStart, later: UnstoredStart | None) -> None:
        """Store the phase that a run entered while its start was being stored."""
        if later is None or later.phase is None or later.phase is stored.phase:
            return
        phase, at_ms = later.phase, later.phase_at_ms or later.at_ms

        def work(conn: Connection) -> JobRow | None:
            return lifecycle.set_phase(conn, lease.row_id, lease.provider_id, lease.attempt, phase, at_ms)

        job = await self._db.write(work)
        if job is not None:
            self._dispatcher.tell(job)

    def _start_of(self, lease: Lease) -> UnstoredStart | None:
        if lease.running or not lease.relayed.tokens:
            return lease.unstored
        # It runs through another server, which has not stored that yet: what was said is paid all the same.
        return UnstoredStart(lease.row_id, lease.provider_id, lease.attempt, self._clock.now_ms())

    async def store_named(self, provider_id: int | None, reference: str) -> None:
        """Store the start of the job that a provider names by either kind of id, or an operator, who has no lease."""
        if provider_id is None:
            # Few operators come, and few starts are not stored.
            await self.store(*sorted(lease.row_id for lease in self._leases if lease.unstored is not None))
        elif (lease := self._leases.named(provider_id, reference)) is not None:
            await self.store(lease.row_id)

    async def store_shown(self, renter_id: int | None) -> None:
        """Store the starts of a renter's calls, or of everybody's, for whoever is to be shown them."""
        found = (lease for lease in self._leases if renter_id in (None, lease.assignment.job.renter_id))
        await self.store_read(*sorted(lease.row_id for lease in found if lease.unstored is not None))

    async def store_read(self, *row_ids: int) -> bool:
        """Store the starts of jobs that were read, and tell whether there were any that are stored now."""
        unstored = [row_id for row_id in row_ids if (lease := self._leases.of_job(row_id)) and lease.unstored]
        if not unstored:
            return False
        try:
            await self.store(*unstored)
        except Exception as error:
            # What can be read while nothing can be written is better than nothing.
            level_of(error, log)("call_starts_not_stored")
            return False
        return True

    async def store_old(self) -> None:
        """Store the starts that were there at the last look already."""
        unstored = {(lease.row_id, lease.attempt) for lease in self._leases if lease.unstored is not None}
        self._old, old = unstored, self._old & unstored
        await self.store(*sorted(row_id for row_id, _ in old))
