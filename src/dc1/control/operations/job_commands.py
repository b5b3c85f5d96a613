"""What a renter does with a job: submit, cancel, submit anew."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial

from dc1.control.fleet.quotes import Quote, Quotes
from dc1.control.operations.attempts import Attempts
from dc1.control.operations.catalog import Catalog
from dc1.control.operations.submission import Submission, Submitted
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.estimates import ITS_TURN, Estimate
from dc1.control.scheduling.job_queue import key_of_new
from dc1.control.scheduling.replicas import Replicas
from dc1.control.scheduling.sessions import StopReason
from dc1.domain import errors
from dc1.domain.access.call_limits import UNLIMITED_KEY, KeyLimits
from dc1.domain.inference.usage import NOTHING_RELAYED, RelayedText, RunSaid
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.placement import ProviderView, Requirement, TaskObstacle
from dc1.domain.jobs.states import TEST_RENTER_ID, Actor, JobSource, JobStatus, new_job_id
from dc1.domain.jobs.submission import JobOrder, check_named_provider
from dc1.domain.money.machine_terms import TermsChangedError
from dc1.storage.engine.database import Connection
from dc1.storage.engine.transaction_hook import NO_HOOK, TransactionHook
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.jobs.charges import relayed_in
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.lifecycle import Transition
from dc1.storage.jobs.submission import NewJob


class JobCommands:
    """The renter's side of jobs."""

    def __init__(
        self,
        core: Core,
        dispatcher: Dispatcher,
        attempts: Attempts,
        submission: Submission,
        catalog: Catalog,
        replicas: Replicas,
    ) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._leases = core.leases
        self._config = core.config
        self._dispatcher = dispatcher
        self._attempts = attempts
        self._submission = submission
        self._catalog = catalog
        self._replicas = replicas
        self._quotes = Quotes(core.fleet)

    async def submit(
        self,
        renter_id: int,
        order: JobOrder,
        hook: TransactionHook[Submitted] = NO_HOOK,
        *,
        retried_from: int | None = None,
        actor: Actor = Actor.RENTER,
        scoped_key_id: str | None = None,
    ) -> Submitted:
        """Accept a job: price it, reserve a provider, debit the wallet, and offer it or let it wait.

        `scoped_key_id` is the scoped key that orders it, in whose budget it counts.

        Raises the refusals 13 to 20 of a submission, in their order. A job of TEST_RENTER_ID is free.
        """
        if order.requirement.named_provider_id is not None:
            await self._check_named(order.requirement, order.model)

        def new_job(quote: Quote) -> NewJob:
            return replace(self._new_job(renter_id, order, quote, retried_from, actor), scoped_key_id=scoped_key_id)

        is_test = renter_id == TEST_RENTER_ID
        try:
            return await self._submit(order, self.quote(order, is_test=is_test), new_job, hook)
        except TermsChangedError:
            # Another server has heard what the machine costs by now, and the hold is made of that.
            await self._replicas.catch_up()
            await self._catalog.load()
        try:
            return await self._submit(order, self.quote(order, is_test=is_test), new_job, hook)
        except TermsChangedError:
            # Whoever changes it all the time gets the job when it comes to rest.
            return await self._submit(order, self.quote(order, is_test=is_test), new_job, hook, place=False)

    async def _submit(
        self,
        order: JobOrder,
        quote: Quote,
        new_job: Callable[[Quote], NewJob],
        hook: TransactionHook[Submitted],
        *,
        place: bool = True,
    ) -> Submitted:
        requirement, new = quote.requirement, new_job(quote)
        # The place is taken before the write, as a job that waits longer must not lose its slot to this one: `place`
        # looks at the queue and reserves without a pause in between.
        turn = key_of_new(order.pricing_class, order.priority)
        reserved = None
        if place:
            reserved = self._dispatcher.place(requirement, prewarm=order.prewarm_requested, before=turn)
        position = self._dispatcher.queue.position_of_new(requirement, order.pricing_class, order.priority)
        # Read before the write, as the position is. Who has a place waits only if that is lost meanwhile.
        waiting_for = ITS_TURN if reserved else self._dispatcher.estimates.waiting_for(requirement)
        return await self._submission.submit(
            new, reserved, self._config.limits, hook, position=position, waiting_for=waiting_for
        )

    async def estimate(self, order: JobOrder) -> Estimate:
        """Return what an order would cost and whom it could go to; raises the refusals 13 to 16a of a submission."""
        if order.requirement.named_provider_id is not None:
            await self._check_named(order.requirement, order.model)
        return self._dispatcher.estimates.estimate(self.quote(order), order.pricing_class, order.priority)

    def quote(self, order: JobOrder, *, is_test: bool = False) -> Quote:
        """Return the terms of an order, by the machines and prices of this moment; a test is free.

        Raises the refusal of a named provider that costs more than the order may.
        """
        rate = 0 if is_test else self._catalog.rate(order.job_type)
        multiplier = self._config.class_multipliers[order.pricing_class]
        minutes, most = order.duration_minutes, order.max_rate_halala_per_minute
        return self._quotes.quote(order.requirement, rate, multiplier, minutes, most)

    async def _check_named(self, requirement: Requirement, model: str | None) -> None:
        """Raise the refusal of a named provider that cannot run the job; never on news that is older than the call."""
        try:
            check_named_provider(self._named(requirement), requirement, model)
        except errors.ApiError:
            await self._replicas.catch_up()
            check_named_provider(self._named(requirement), requirement, model)

    def _named(self, requirement: Requirement) -> ProviderView | None:
        provider = self._fleet.get(requirement.named_provider_id or 0)
        return None if provider is None or provider.deleted else self._fleet.view(provider)

    def _new_job(self, renter_id: int, order: JobOrder, quote: Quote, retried_from: int | None, actor: Actor) -> NewJob:
        is_test = renter_id == TEST_RENTER_ID
        requirement = quote.requirement
        return NewJob(
            job_id=new_job_id(self._clock.now_ms(), "test" if is_test else "job"),
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
            rate_halala_per_minute=quote.rate_halala,
            class_multiplier=quote.class_multiplier,
            cost_halala=quote.cost_halala,
            hold_price_bps=quote.hold_price_bps,
            max_rate_halala_per_minute=order.max_rate_halala_per_minute,
            prefers_price=requirement.prefers_price,
            needs_gpu=requirement.needs_gpu,
            is_scriptable=requirement.task_obstacle is not TaskObstacle.NO_SCRIPT,
            fee_bps=self._config.fee_bps,
            compute_type=requirement.compute_type,
            model=order.model,
            named_provider_id=requirement.named_provider_id,
            provider_choice=requirement.choice.to_store(),
            gpu_count=requirement.gpu_count,
            min_vram_gb=requirement.min_vram_gb,
            gpu_type=requirement.gpu_type,
            pricing_class=order.pricing_class,
            priority=order.priority,
            prewarm_requested=order.prewarm_requested,
            checkpoint_enabled=order.checkpoint_enabled,
            retried_from_job_id=retried_from,
            submitted_by=actor,
        )

    async def cancel(self, row_id: int, actor: Actor, *, in_one_piece: bool = False, is_left: bool = False) -> JobRow:
        """Cancel an open job; raises `Cannot cancel job with status: …` once it is terminal.

        Of a call that is answered `in_one_piece` nothing is paid before all of it is there. One whose caller left
        (`is_left`) is ended in any case; otherwise service_unavailable is raised while a server that relays the call
        does not say how much there is to pay for.
        """
        end = partial(lifecycle.cancel, job_id=row_id, actor=actor, now_ms=self._clock.now_ms())
        refusal, stop = errors.cannot_cancel, StopReason.CANCELLED
        return await self._end(row_id, end, refusal, stop, in_one_piece=in_one_piece, is_left=is_left)

    async def complete(self, row_id: int, actor: Actor) -> JobRow:
        """End a running job as completed; raises the 400 `Job is not running`.

        It is billed by the server's clock, a /v1 call by the text that the server relayed; as for `cancel`, it has to
        say how much that was.
        """
        report = AttemptReport(completed=True, actor=actor)
        end = partial(lifecycle.finish, job=row_id, report=report, now_ms=self._clock.now_ms())
        return await self._end(row_id, end, errors.cannot_complete, StopReason.SETTLED)

    async def _end(
        self,
        row_id: int,
        end: Callable[..., Transition | None],
        refusal: Callable[[str], errors.ApiError],
        stop: StopReason,
        *,
        in_one_piece: bool = False,
        is_left: bool = False,
    ) -> JobRow:
        await self._attempts.starts.store(row_id)
        elsewhere = {} if in_one_piece else await self._replicas.said(row_id, of_all_calls=not is_left)

        def work(conn: Connection, said: Mapping[int, RelayedText]) -> Transition:
            moved = end(conn, relayed=relayed_in(conn, row_id, said, elsewhere))
            if moved is not None:
                return moved
            raise refusal(jobs.known(conn, row_id).status)

        with self._leases.settling(row_id) as said:
            if in_one_piece and not said[row_id].is_whole:
                said[row_id] = NOTHING_RELAYED
            moved = await self._db.write(partial(work, said=dict(said)))
            self._attempts.left(moved, moved.job.provider_id, stop)
        return moved.job

    async def cancel_all(self, renter_id: int, close: Callable[[Connection], None], actor: Actor) -> int:
        """Cancel every open job of a renter, as the actor's doing, and return how many.

        `close` shares the transaction and ends submissions.
        """
        now_ms = self._clock.now_ms()
        held = [lease.row_id for lease in self._leases if lease.assignment.job.renter_id == renter_id]
        elsewhere: Mapping[int, RunSaid] = {}
        if self._replicas.others:
            found = await self._db.read(lambda conn: jobs.open_jobs(conn, renter_id=renter_id))
            elsewhere = await self._replicas.said(*(job.id for job in found))

        def cancel_open(conn: Connection, relayed: Mapping[int, RelayedText]) -> list[Transition]:
            found = jobs.open_jobs(conn, renter_id=renter_id)
            said = {job.id: relayed_in(conn, job.id, relayed, elsewhere) for job in found}
            moved = [lifecycle.cancel(conn, job.id, actor, now_ms, relayed=said[job.id]) for job in found]
            return [each for each in moved if each is not None]

        def work(conn: Connection, relayed: Mapping[int, RelayedText]) -> list[Transition]:
            ended = cancel_open(conn, relayed)
            close(conn)
            # A submission locks the renter's row, as `close` does: one that was ahead of it is committed and seen only
            # now.
            return ended + cancel_open(conn, relayed)

        await self._attempts.starts.store(*sorted(held))
        with self._leases.settling(*held) as said:
            ended = await self._db.write(partial(work, relayed=said))
            for moved in ended:
                self._attempts.left(moved, moved.job.provider_id, StopReason.CANCELLED)
        return len(ended)

    async def retry(
        self,
        failed: JobRow,
        spec: JobSpec,
        hook: TransactionHook[Submitted] = NO_HOOK,
        *,
        actor: Actor = Actor.RENTER,
        scoped_key_id: str | None = None,
        key_limits: KeyLimits = UNLIMITED_KEY,
    ) -> Submitted:
        """Submit a failed job anew from its stored request, for whom the key allows that it is retried with.

        Raises:
            only_failed_retried: The job is open, or ended otherwise.
            call_not_retried: It is a /v1 call, whose caller has had an answer.
            documents_erased: What was sent with it is not kept any more.
        """
        if failed.status != JobStatus.FAILED:
            raise errors.only_failed_retried(failed.status)
        if failed.source == JobSource.V1:
            raise errors.call_not_retried()
        if failed.documents_erased_at_ms is not None:
            raise errors.documents_erased()
        order = _order_again(failed, spec).held_to(key_limits)
        return await self.submit(
            failed.renter_id, order, hook, retried_from=failed.id, actor=actor, scoped_key_id=scoped_key_id
        )


def _order_again(job: JobRow, spec: JobSpec) -> JobOrder:
    return JobOrder(
        job_type=job.job_type,
        duration_minutes=job.duration_minutes or Decimal(0),
        max_duration_seconds=job.max_duration_seconds,
        params=spec.params,
        model=job.model,
        container_spec=spec.container_spec,
        gpu_requirements=spec.gpu_requirements,
        priority=job.priority,
        pricing_class=job.pricing_class,
        prewarm_requested=job.prewarm_requested,
        checkpoint_enabled=job.checkpoint_enabled,
        task_spec=spec.task_spec,
        env_vars=spec.env_vars or {},
        max_rate_halala_per_minute=job.max_rate_halala_per_minute,
        requirement=replace(job.requirement, excluded_provider_id=None, max_price_bps=None, handed_to=frozenset()),
    )
