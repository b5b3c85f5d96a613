"""The last step of every submission, whether a job was ordered or a /v1 call: from a reserved slot to a durable job."""

import asyncio
from contextvars import copy_context
from dataclasses import dataclass, replace

import structlog

from dc1.control.fleet.provider import Provider
from dc1.control.handover import Handover
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.domain.errors import ApiError
from dc1.domain.errors.codes import ErrorCode
from dc1.domain.jobs.placement import Room
from dc1.domain.jobs.states import JobSource, JobStatus
from dc1.storage.engine.database import Connection
from dc1.storage.engine.transaction_hook import NO_HOOK, TransactionHook, hooked
from dc1.storage.jobs import lifecycle
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.submission import NewJob, SubmissionLimits

log = structlog.get_logger(__name__)

_BUDGET_SPENT = (ErrorCode.QUOTA_MONTHLY, ErrorCode.KEY_BUDGET)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job.

    `position` is its place in the queue and `waiting_for` what it waits for in words, both None unless it is queued;
    `provider_name` that of the provider it is offered to, None while it is.
    """

    job: JobRow
    spec: JobSpec
    position: int | None
    provider_name: str | None
    waiting_for: str | None


class Submission:
    """Makes jobs durable and hands them to the dispatcher."""

    def __init__(self, core: Core, dispatcher: Dispatcher) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._dispatcher = dispatcher
        self._run_counts = core.run_counts
        self._job_traces = core.job_traces
        self._early = Handover[tuple[JobRow, JobSpec]](lambda early: dispatcher.offer_early(*early))

    async def submit(
        self,
        new: NewJob,
        reserved: Provider | None,
        limits: SubmissionLimits,
        hook: TransactionHook[Submitted] = NO_HOOK,
        *,
        position: int | None = None,
        waiting_for: str | None = None,
    ) -> Submitted:
        """Take a job in for the provider whose slots are `reserved`, which are given back when that fails.

        `position` is the place it gets should it have to wait, and `waiting_for` says for what. Raises the refusals of
        quotas and balance.
        """
        # Reserve, write, follow, in this order. The slots are taken in memory before the write, so that nobody else is
        # promised them while it commits; memory follows after it, so that nobody counts on a job that may be undone.
        now_ms = self._clock.now_ms()
        # Names are read here and not in the transaction: the fleet belongs to the loop, and that runs on another
        # thread.
        name = None if reserved is None else reserved.name
        if reserved is not None:
            new = replace(
                new,
                provider_id=reserved.id,
                slots=reserved.slots,
                call_slots=reserved.inference_slots,
                terms=self._fleet.terms(reserved),
            )

        loop, context = asyncio.get_running_loop(), copy_context()

        def work(conn: Connection) -> Submitted:
            job = lifecycle.submit(conn, new, limits, now_ms)
            queued = job.status == JobStatus.QUEUED
            if job.source is JobSource.V1:
                # Whoever cannot pay has been refused, and only the way to the disk is left (on PostgreSQL the last
                # statements go with the commit), for which its caller need not wait twice. It is no effect that a
                # rollback would have to undo: what becomes of it waits for the commit.
                # Calls that share a commit are offered together.
                self._early.put(loop, (job, new.spec), context)
            return Submitted(
                job, new.spec, position if queued else None, None if queued else name, waiting_for if queued else None
            )

        try:
            submitted = await self._db.write(hooked(hook, work))
        except BaseException as error:
            # Cancelled callers come here too, though a transaction that has begun is committed all the same: servicers
            # run commands shielded from callers who leave, or memory would not hear of such a job.
            self._dispatcher.early.withdraw(new.job_id)
            if reserved is not None:
                self._dispatcher.unplace(reserved.id, Room.of(new.source, new.gpu_count))
            if isinstance(error, ApiError) and error.code in _BUDGET_SPENT:
                await self._tell_of_refusal(new, limits, now_ms)
            raise
        self._run_counts.submitted(submitted.job)
        self._job_traces.note(submitted.job)
        self._dispatcher.submitted(submitted.job, submitted.spec, reserved)
        return submitted

    async def _tell_of_refusal(self, new: NewJob, limits: SubmissionLimits, now_ms: int) -> None:
        try:
            await self._db.write(lambda conn: lifecycle.tell_of_refusal(conn, new, limits, now_ms))
        except Exception:
            # The caller is refused all the same; the next order that does not fit tells it.
            log.exception("spent_budget_not_told", renter_id=new.renter_id)
