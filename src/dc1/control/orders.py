"""What a renter does with a job: submit, cancel, submit anew."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from dc1.control.dispatcher import Dispatcher
from dc1.control.fleet import Fleet
from dc1.control.handout import requirement_of
from dc1.control.policy import Policy
from dc1.control.runs import Runs
from dc1.control.sessions import StopReason
from dc1.domain import errors, money
from dc1.domain.clock import Clock
from dc1.domain.jobs import JobStatus, JobType, Mover, new_job_id
from dc1.domain.money import PricingClass
from dc1.domain.placement import ProviderView, Requirement
from dc1.domain.request import JobOrder, check_named_provider
from dc1.storage import catalog, jobs, lifecycle
from dc1.storage.database import Connection, Database
from dc1.storage.job_rows import JobRow, JobSpec
from dc1.storage.submission import NewJob


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job; `position` is its place in the queue, None unless it is queued."""

    job: JobRow
    spec: JobSpec
    position: int | None


class Companion(Protocol):
    """What shares the transaction of a submission."""

    def begin(self, conn: Connection) -> None:
        """Called first; what it raises ends the transaction."""
        ...

    def keep(self, conn: Connection, submitted: Submitted) -> None:
        """Called last, with the accepted job."""
        ...


class Orders:
    """The renter's side of jobs."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        fleet: Fleet,
        dispatcher: Dispatcher,
        runs: Runs,
        policy: Policy,
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._db = db
        self._clock = clock
        self._fleet = fleet
        self._dispatcher = dispatcher
        self._runs = runs
        self._policy = policy
        self._catch_up = catch_up
        self._rates: Mapping[str, int] = {}
        self.approved_images: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Read the prices and the image registry."""
        self._rates = await self._db.read(catalog.rates)
        images = await self._db.read(catalog.list_images)
        self.approved_images = frozenset(image.image_ref for image in images)

    def rate(self, job_type: str) -> int:
        """Return what a minute of a job type costs in the standard class, in halala."""
        return self._rates.get(job_type, self._rates.get(catalog.DEFAULT_PRICE, money.DEFAULT_RATE_HALALA))

    async def submit(
        self, renter_id: int, order: JobOrder, companion: Companion | None = None, *, retried_from: int | None = None
    ) -> Submitted:
        """Accept a job: price it, reserve a provider, debit the wallet, and offer it or let it wait.

        Raises the refusals 13 to 20 of a submission, in their order. `companion` shares its transaction.
        """
        requirement = order.requirement
        if requirement.named_provider_id is not None:
            await self._check_named(requirement, order.model)
        now_ms = self._clock.now_ms()
        reserved = self._dispatcher.place(requirement, prewarm=order.prewarm_requested)
        new = self._new_job(renter_id, order, now_ms, retried_from)
        if reserved is not None:
            new = replace(new, provider_id=reserved.id, slots=reserved.slots)
        position = self._dispatcher.waiting.position_of_new(requirement, order.pricing_class, order.priority)

        def work(conn: Connection) -> Submitted:
            if companion is not None:
                companion.begin(conn)
            job = lifecycle.submit(conn, new, self._policy.limits, now_ms)
            submitted = Submitted(job, new.spec, position if job.status == JobStatus.QUEUED else None)
            if companion is not None:
                companion.keep(conn, submitted)
            return submitted

        try:
            submitted = await self._db.write(work)
        except BaseException:
            if reserved is not None:
                self._dispatcher.unplace(reserved.id, requirement.gpu_count)
            raise
        self._dispatcher.submitted(submitted.job, submitted.spec, reserved)
        return submitted

    async def _check_named(self, requirement: Requirement, model: str | None) -> None:
        """Raise the refusal of a named provider that cannot run the job; never on news that is older than the call."""
        try:
            check_named_provider(self._named(requirement), requirement, model)
        except errors.ApiError:
            await self._catch_up()
            check_named_provider(self._named(requirement), requirement, model)

    def _named(self, requirement: Requirement) -> ProviderView | None:
        provider = self._fleet.get(requirement.named_provider_id or 0)
        return None if provider is None else self._fleet.view(provider)

    def _new_job(self, renter_id: int, order: JobOrder, now_ms: int, retried_from: int | None) -> NewJob:
        rate = self.rate(order.job_type)
        multiplier = self._policy.class_multipliers[order.pricing_class]
        requirement = order.requirement
        return NewJob(
            job_id=new_job_id(now_ms),
            renter_id=renter_id,
            job_type=order.job_type,
            spec=JobSpec(
                container_spec=order.container_spec,
                params=order.params,
                task_spec=order.task_spec,
                env_vars=dict(order.env_vars),
                gpu_requirements=order.gpu_requirements,
            ),
            duration_minutes=order.duration_minutes,
            max_duration_seconds=order.max_duration_seconds,
            rate_halala_per_minute=rate,
            class_multiplier=multiplier,
            cost_halala=money.quote(rate, order.duration_minutes, multiplier),
            fee_bps=self._policy.fee_bps,
            compute_type=requirement.compute_type,
            model=order.model,
            named_provider_id=requirement.named_provider_id,
            gpu_count=requirement.gpu_count,
            min_vram_gb=requirement.min_vram_gb,
            gpu_type=requirement.gpu_type,
            pricing_class=order.pricing_class,
            priority=order.priority,
            prewarm_requested=order.prewarm_requested,
            checkpoint_enabled=order.checkpoint_enabled,
            retried_from_job_id=retried_from,
        )

    async def cancel(self, row_id: int, mover: Mover) -> JobRow:
        """Cancel an open job; raises `Cannot cancel job with status: …` once it is terminal."""
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> JobRow:
            moved = lifecycle.cancel(conn, row_id, mover, now_ms)
            if moved is not None:
                return moved.job
            current = jobs.get(conn, row_id)
            raise errors.job_not_found() if current is None else errors.cannot_cancel(current.status)

        job = await self._db.write(work)
        self._runs.left(job, job.provider_id, StopReason.CANCELLED)
        return job

    async def retry(self, failed: JobRow, spec: JobSpec, companion: Companion | None = None) -> Submitted:
        """Submit a failed job anew from its stored request; raises `Only failed jobs can be retried`."""
        if failed.status != JobStatus.FAILED:
            raise errors.only_failed_retried(failed.status)
        return await self.submit(failed.renter_id, _order_again(failed, spec), companion, retried_from=failed.id)


def _order_again(job: JobRow, spec: JobSpec) -> JobOrder:
    return JobOrder(
        job_type=JobType(job.job_type),
        duration_minutes=job.duration_minutes or Decimal(0),
        max_duration_seconds=job.max_duration_seconds,
        params=spec.params,
        model=job.model,
        container_spec=spec.container_spec,
        gpu_requirements=spec.gpu_requirements,
        priority=job.priority,
        pricing_class=PricingClass(job.pricing_class),
        prewarm_requested=job.prewarm_requested,
        checkpoint_enabled=job.checkpoint_enabled,
        task_spec=spec.task_spec,
        env_vars=spec.env_vars or {},
        requirement=requirement_of(job),
    )
