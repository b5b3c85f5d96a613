"""Ordering jobs and calling them off."""

from heapq import nsmallest
from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.control.operations.submission import Submitted
from dc1.control.scheduling.estimates import Estimate
from dc1.domain.access.roles import Role
from dc1.domain.jobs.arabic import JOB_PHRASES
from dc1.domain.jobs.states import TEST_RENTER_ID, Actor, JobStatus, JobType
from dc1.domain.jobs.submission import JobOrder, SubmitBody, accept
from dc1.domain.money.machine_prices import HUNDRED, UNIT_PRICE_BPS
from dc1.domain.money.pricing import halala_to_sar, rate_per_minute
from dc1.services.api.call import caller_id, caller_limits, caller_scoped_key, current_call, prefers_arabic
from dc1.services.api.hooks import normalised_by
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import NULL, to_value
from dc1.services.jobs.access import readable_with_spec, shown
from dc1.services.jobs.messages import job_detail, job_fields, public_head
from dc1.services.jobs.submissions import normalise, submit_body
from dc1.storage.engine.transaction_hook import TransactionHook
from dcp.v1 import job_outcome_pb2
from dcp.v1 import job_submission_pb2 as pb
from dcp.v1.job_pb2 import Job

_TEST_MINUTES = 30
_MATRIX_SIZE = 4096
_ITERATIONS = 5

_MACHINES_SHOWN = 20


class JobCommandCalls(ServicerPart):
    """Submitting, retrying, testing and cancelling."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._idempotent = parts.idempotent

    @normalised_by(normalise)
    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Any) -> pb.SubmitJobResponse:
        """Accept a job."""
        renter_id, key_id = caller_id(), caller_scoped_key()

        async def submit(hook: TransactionHook[Submitted]) -> Submitted:
            # Judged inside the effect: a repeated key is answered before, whatever was approved or disapproved since.
            order = self._accept(submit_body(request)).held_to(caller_limits())
            return await self._plane.job_commands.submit(renter_id, order, hook, scoped_key_id=key_id)

        return await self._idempotent.run(pb.SubmitJobResponse, submit, _submit_answer)

    @normalised_by(normalise)
    async def EstimateJob(self, request: pb.SubmitJobRequest, context: Any) -> pb.EstimateJobResponse:
        """Say what a job would cost and where it could run."""
        order = self._accept(submit_body(request)).held_to(caller_limits())
        return _estimate_answer(self._plane, await self._plane.job_commands.estimate(order))

    async def RetryJob(self, request: pb.RetryJobRequest, context: Any) -> pb.RetryJobResponse:
        """Submit a failed job anew."""
        # Read once, here: `answer` is asked on a thread of the database and once more on the loop, and has to say the
        # same.
        now_ms, key_id, limits = self._plane.clock.now_ms(), caller_scoped_key(), caller_limits()

        async def retry(hook: TransactionHook[Submitted]) -> Submitted:
            failed, spec = await readable_with_spec(self._plane, request.job_id)
            return await self._plane.job_commands.retry(failed, spec, hook, scoped_key_id=key_id, key_limits=limits)

        def answer(new: Submitted) -> pb.RetryJobResponse:
            return pb.RetryJobResponse(
                success=True,
                **public_head(new.job),
                job=job_detail(new.job, new.spec, now_ms, new.position, new.waiting_for),
            )

        return await self._idempotent.run(pb.RetryJobResponse, retry, answer)

    async def CancelJob(
        self, request: job_outcome_pb2.CancelJobRequest, context: Any
    ) -> job_outcome_pb2.CancelJobResponse:
        """Cancel a job that is not terminal."""
        # Apart from the transaction that cancels: whose job it is never changes. Whether it is open is asked in there.
        found, spec = await readable_with_spec(self._plane, request.job_id)
        actor = Actor.ADMIN if current_call().principal.role is Role.ADMIN else Actor.RENTER
        job = await self._plane.job_commands.cancel(found.id, actor)
        return job_outcome_pb2.CancelJobResponse(
            success=True,
            **public_head(job),
            job=shown(self._plane, job, spec),
            # 0 where there is none: what clients expect to be a number is never null (contract 8).
            refunded_halala=job.refunded_halala or 0,
            charged_halala=job.actual_cost_halala or 0,
        )

    async def CreateTestJob(self, request: pb.CreateTestJobRequest, context: Any) -> pb.CreateTestJobResponse:
        """Send a provider a benchmark free of charge."""
        body = SubmitBody(
            job_type=JobType.BENCHMARK,
            duration_minutes=_TEST_MINUTES,
            provider_id=request.provider_id,
            params={
                "matrix_size": request.matrix_size or _MATRIX_SIZE,
                "iterations": request.iterations or _ITERATIONS,
            },
        )
        # By the rules of every submission: what a test shows must be what a renter would get.
        new = await self._plane.job_commands.submit(TEST_RENTER_ID, self._accept(body), actor=Actor.ADMIN)
        return pb.CreateTestJobResponse(success=True, job=_message(new))

    def _accept(self, body: SubmitBody) -> JobOrder:
        """Return the job that is ordered, by the images and the GPUs that there are at this moment."""
        return accept(
            body,
            self._plane.catalog.approved_images,
            self._plane.fleet.lists.gpu_types(),
            self._plane.catalog.images_by_type,
            self._plane.config.max_duration_seconds,
        )


def _estimate_answer(plane: ControlPlane, estimate: Estimate) -> pb.EstimateJobResponse:
    quote, seen, prices = estimate.quote, estimate.outlook, plane.fleet.prices
    dearest = None if quote.machine_id is None else plane.fleet.get(quote.machine_id)
    return pb.EstimateJobResponse(
        success=True,
        quote_halala=quote.cost_halala,
        quote_sar=halala_to_sar(quote.cost_halala),
        hold_rate_halala_per_minute=quote.rate_per_minute,
        factors=pb.RateFactors(
            rate_halala_per_minute=quote.rate_halala,
            gpu_type=to_value(None if dearest is None or dearest.mismatch else dearest.named_gpu),
            gpu_factor=to_value(None if dearest is None else dearest.factor_pct(prices) / HUNDRED),
            ask=to_value(None if dearest is None else prices.bounds.within(dearest.preferences.ask_pct) / HUNDRED),
            machine_factor=quote.price_bps / UNIT_PRICE_BPS,
            class_multiplier=float(quote.class_multiplier),
            gpu_count=quote.requirement.gpu_count,
        ),
        machines_fitting=len(seen.fitting),
        machines_free=len(seen.free),
        machines=_machines(plane, estimate),
        expected_wait_seconds=to_value(estimate.wait_seconds),
        reason=to_value(seen.reason),
        reason_ar=JOB_PHRASES.in_arabic(seen.reason) if seen.reason and prefers_arabic() else None,
    )


def _machines(plane: ControlPlane, estimate: Estimate) -> list[pb.EstimatedMachine]:
    """Return the machines that fit, the free and the cheap ones first."""
    quote, free = estimate.quote, estimate.outlook.free
    rows = (
        (machine_id not in free, price_bps, machine_id) for machine_id, price_bps in estimate.outlook.fitting.items()
    )
    shown = [(*row, plane.fleet.known(row[2])) for row in nsmallest(_MACHINES_SHOWN, rows)]
    return [
        pb.EstimatedMachine(
            provider_id=machine.id,
            name=machine.name,
            gpu_type=machine.gpu_name or "",
            gpu_source=machine.gpu_source,
            is_free=not is_taken,
            rate_halala_per_minute=rate_per_minute(
                quote.rate_halala, quote.class_multiplier, price_bps * quote.requirement.gpu_count
            ),
        )
        for is_taken, price_bps, _, machine in shown
    ]


# Made of nothing but the submission: a thread of the database calls this, and fleet and queue belong to the loop.
def _submit_answer(submitted: Submitted) -> pb.SubmitJobResponse:
    job = submitted.job
    queued = job.status == JobStatus.QUEUED
    shared = job_fields(job, submitted.spec, submitted.position, submitted.waiting_for)
    return pb.SubmitJobResponse(
        success=True,
        queued=queued,
        message=to_value(f"The job is queued. It waits: {submitted.waiting_for}.") if queued else NULL,
        dispatch=pb.Dispatch(
            assigned=not queued,
            queued=queued,
            # A job has one hold and the ledger knows it by the job (contract 5.3), so there is no other id to give.
            hold_id=job.job_id,
            provider=NULL if queued else to_value({"id": job.provider_id, "name": submitted.provider_name}),
        ),
        # Twice: some clients read `job`, others the top level (contract 8).
        job=Job(**shared),
        **(shared | public_head(job)),
    )


def _message(new: Submitted) -> Job:
    return Job(**job_fields(new.job, new.spec, new.position, new.waiting_for))
