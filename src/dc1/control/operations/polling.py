"""Daemons that ask for work instead of being told.

No acknowledgement follows a poll, so a lease needs a sign of life.
"""

from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import Attempts
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.leases import Lease
from dc1.control.scheduling.replicas import Replicas
from dc1.control.scheduling.sessions import StopReason
from dc1.domain.jobs.placement import Admission, availability_obstacle
from dc1.domain.jobs.queue_order import queue_key
from dc1.domain.providers.liveness import Channel
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_logs, jobs, lifecycle

NEVER_TAKEN_UP = "The daemon was handed the job and never took it up"


class Polling:
    """Hands jobs to daemons that poll; handing out starts the run."""

    def __init__(self, core: Core, dispatcher: Dispatcher, attempts: Attempts, replicas: Replicas) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._leases = core.leases
        self._lease_grace_ms = round(core.config.poll_lease_grace_seconds * 1000)
        self._dispatcher = dispatcher
        self._attempts = attempts
        self._replicas = replicas

    async def next_for(self, provider: Provider) -> tuple[Lease | None, Admission]:
        """Start the next job for a daemon that polls, and say why there is none."""
        lease, admission = await self._next_known_for(provider)
        # Another replica may have given it a job that this one has not heard of; the daemon would come back only after
        # its whole pause between polls.
        if lease is None and await self._replicas.catch_up():
            return await self._next_known_for(provider)
        return lease, admission

    async def _next_known_for(self, provider: Provider) -> tuple[Lease | None, Admission]:
        await self._take_back_dropped(provider)
        view = self._fleet.view(provider)
        refusal = availability_obstacle(view)
        if view.reluctance is not None:
            await self._attempts.bookability_changed(provider)
        if view.reluctance is not None or refusal not in (None, Admission.PROVIDER_BUSY):
            return None, refusal or Admission.PROVIDER_BUSY
        started = await self._start_offered(provider)
        if started is None:
            # What it can have may be on its way to it; the daemon would come back for it only some time later.
            await self._dispatcher.serve(provider.id)
            started = await self._start_offered(provider)
        if started is not None:
            return started, Admission.ADMISSION_OK
        return None, availability_obstacle(self._fleet.view(provider)) or self._why_idle(provider)

    async def _start_offered(self, provider: Provider) -> Lease | None:
        offered = [lease for lease in self._leases.of_provider(provider.id) if not lease.running]
        for lease in sorted(offered, key=lambda item: queue_key(item.assignment.job)):
            if lease.changing.locked():
                continue  # another poll is about to get it
            async with lease.changing:
                started = await self._attempts.start(lease)
            if isinstance(started, Lease):
                return started
        return None

    def taken_up(self, provider_id: int) -> None:
        """Note that a daemon says it works on everything it was handed."""
        for lease in self._leases.of_provider(provider_id):
            lease.taken_up = lease.taken_up or lease.running

    async def _take_back_dropped(self, provider: Provider) -> None:
        """Take the runs from a daemon that asks for more work and has not said a word about them for the grace.

        It may drop what it was handed without telling anybody.
        """
        if provider.presence.channel is Channel.STREAM:
            return
        handed_out_before_ms = self._clock.now_ms() - self._lease_grace_ms
        for lease in self._leases.of_provider(provider.id):
            started_ms = lease.assignment.job.started_at_ms
            if lease.running and not lease.taken_up and (started_ms or 0) <= handed_out_before_ms:
                await self._lose_dropped(lease)

    async def _lose_dropped(self, lease: Lease) -> None:
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> lifecycle.Transition | None:
            if _has_reported(conn, lease):
                return None
            return self._attempts.lose_in(conn, lease, now_ms, NEVER_TAKEN_UP, exclude=True)

        moved = await self._db.write(work)
        if moved is None:
            lease.taken_up = True
        else:
            self._attempts.left(moved, lease.provider_id, StopReason.SUPERSEDED)

    def _why_idle(self, provider: Provider) -> Admission:
        """Say what keeps the waiting jobs from a provider with a free slot."""
        reasons = self._dispatcher.queue.obstacles(self._fleet.view(provider))
        if not reasons:
            return Admission.NO_PENDING_JOBS
        only = reasons.pop()
        return Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER if reasons else only


def _has_reported(conn: Connection, lease: Lease) -> bool:
    """Tell whether the daemon ever said anything about a run that is in force."""
    job = jobs.get(conn, lease.row_id)
    if job is None or job.attempt_number != lease.attempt:
        return False
    reported = job.progress_updated_at_ms is not None or job.endpoint_url is not None
    return reported or job_logs.last_attempt(conn, job.id) == lease.attempt
