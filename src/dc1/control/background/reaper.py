"""Takes back what providers lost or left unanswered, and ends what is overdue."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator

import structlog

from dc1.containment import run_contained
from dc1.control.failures import level_of
from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import Attempts
from dc1.control.periodic import every
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.leases import Lease
from dc1.domain.jobs.states import JobStatus
from dc1.storage.accounts import idempotency
from dc1.storage.engine.purging import forget_all
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow

log = structlog.get_logger(__name__)

# A lost daemon's renter waits for the grace and for this.
_PRESENCE_SECONDS = 0.25
_DEADLINES_SECONDS = 1.0
_PURGE_SECONDS = 3600.0
_DUE_AT_ONCE = 500
_RETURN_MS = 1_000
"""Callers of /v1 wait no longer than this for a daemon whose stream broke, when another one can answer them."""

_NEWS_MS = 5_000
"""How much later than a job's news that of its provider may come, when another server gave the job out."""


class Reaper:
    """Everything that happens because time passes. Each round costs the same however large the fleet is."""

    def __init__(self, core: Core, dispatcher: Dispatcher, attempts: Attempts) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._leases = core.leases
        self._dispatcher = dispatcher
        self._attempts = attempts
        self._held_up: set[int] = set()

    async def run(self) -> None:
        """Take rounds until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(every(_PRESENCE_SECONDS, self.presence))
            group.create_task(every(_DEADLINES_SECONDS, self.deadlines))
            group.create_task(every(_PURGE_SECONDS, self._purge))

    async def presence(self) -> None:
        """Take the jobs of providers that are lost, and the offers that were not answered."""
        # A provider that cannot be abandoned stays on the list of the lost, so the next round tries again.
        if lost := self._fleet.presence.lost():
            await _step(self._abandon(lost))
        await _each(self._attempts.bookability_changed(provider) for provider in self._fleet.presence.take_refusing())
        await _each(self._attempts.lose_calls(provider) for provider in self._gone())
        unanswered = self._leases.unanswered(self._clock.now_ms())
        await _each(self._attempts.withdraw(lease, "The daemon did not answer the offer") for lease in unanswered)

    def _gone(self) -> Iterator[Provider]:
        """Yield who holds jobs and has been without a stream for longer than a daemon takes to open another."""
        lost_before_ms = self._clock.now_ms() - _RETURN_MS
        for provider_id in self._leases.provider_ids():
            provider = self._fleet.get(provider_id)
            presence = None if provider is None or provider.stream_replica is not None else provider.presence
            if presence is None or presence.stream_open or presence.stream_lost_ms is None:
                continue
            if presence.stream_lost_ms <= lost_before_ms:
                assert provider is not None
                yield provider

    async def _abandon(self, lost: list[Provider]) -> None:
        left: list[int] = []
        # Asked together: a statement for each of a fleet would keep the database from those who come back. Who is to be
        # waited for leaves the list of the lost by itself.
        await _each(self._take_all(provider, left) for provider in await self._attempts.confirm_lost(lost))
        if left:
            log.info("providers_lost", count=len(left), provider_ids=left)

    async def _take_all(self, provider: Provider, left: list[int]) -> None:
        await self._attempts.evict(provider, "The provider disconnected")
        self._fleet.presence.abandoned(provider)
        left.append(provider.id)

    async def deadlines(self) -> None:
        """End the jobs whose run or queue deadline has passed, and heal what was missed: wake-ups, offers in vain."""
        await _step(self._attempts.starts.store_old())
        now_ms = self._clock.now_ms()
        held_up: set[int] = set()
        seen: set[int] = set()
        while found := [job for job in await self._due(now_ms, len(held_up)) if job.id not in seen]:
            due = [job.id for job in found]
            seen.update(due)
            held_up.update(job.id for job in found if self._is_awaited(job, now_ms))
            # A daemon that just came back is about to say how its runs ended: those have another round.
            await _each(
                self._attempts.enforce_deadline(row_id) for row_id in due if row_id not in held_up | self._held_up
            )
        self._held_up = held_up
        in_vain = [lease for lease in self._leases.offered() if self._is_in_vain(lease, now_ms)]
        await _each(self._attempts.withdraw(lease, "The provider takes no new work") for lease in in_vain)
        self._dispatcher.wake_fitting()

    async def _due(self, now_ms: int, held_up: int) -> list[JobRow]:
        return await self._db.read(lambda conn: jobs.due_jobs(conn, now_ms, _DUE_AT_ONCE + held_up))

    def _is_in_vain(self, lease: Lease, now_ms: int) -> bool:
        """Tell whether a job is offered to a provider that may not have it any more."""
        is_new = lease.found_ms is not None and now_ms - lease.found_ms < _NEWS_MS
        provider = self._fleet.get(lease.provider_id)
        return not is_new and (provider is None or not self._fleet.view(provider).bookable)

    def _is_awaited(self, job: JobRow, now_ms: int) -> bool:
        """Tell whether a run may have ended while its daemon had no server, and has a while to come back.

        One that is known to another server only is that server's to end, while it lives.
        """
        lease = self._leases.of_job(job.id)
        is_running = job.status is JobStatus.RUNNING if lease is None else lease.running
        provider = self._fleet.get(job.provider_id or 0) if is_running else None
        if provider is None:
            return False
        return provider.presence.awaited(now_ms) or (lease is None and provider.stream_replica is not None)

    async def _purge(self) -> None:
        now_ms = self._clock.now_ms()
        await forget_all(self._db, lambda conn, limit: idempotency.purge(conn, now_ms, limit))


async def _each(steps: Iterable[Awaitable[object]]) -> None:
    """Take steps that have nothing to do with each other, beside each other."""
    await asyncio.gather(*map(_step, steps))


async def _step(work: Awaitable[object]) -> None:
    """Take one step; if it fails that is told, and keeps nobody from the others."""
    try:
        await run_contained(work)
    except Exception as failure:
        level_of(failure, log)("upkeep_step_failed")
