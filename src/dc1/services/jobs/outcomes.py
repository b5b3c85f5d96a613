"""How jobs end, and what is left of them."""

from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import iso
from dc1.domain.jobs.results import image_format
from dc1.domain.jobs.states import Actor, ErrorCategory, JobStatus
from dc1.services.api.call import Principal, current_call, prefers_arabic
from dc1.services.api.values import time_value, to_value
from dc1.services.jobs.access import readable, readable_job, readable_with_spec, shown
from dc1.services.jobs.invoices import in_arabic, invoice_lines
from dc1.services.jobs.messages import billing, minute_rate, public_head
from dc1.services.jobs.output import OutputCalls, output_body, stored_image
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import AttemptRow
from dcp.v1 import job_outcome_pb2 as pb
from dcp.v1 import job_progress_pb2

# Here alone: there is no image of null. The output as JSON answers 200 with `result` null (contract 8).
_NOTHING_TO_SEND = 204
# Of why an attempt failed only these two say how it ended: without the provider's word, or by the clock.
_OUTCOMES = {ErrorCategory.PROVIDER_DISCONNECT: "lost", ErrorCategory.TIMEOUT: "timeout"}


class JobOutcomeCalls(OutputCalls):
    """Ends of jobs."""

    async def CompleteJob(self, request: pb.CompleteJobRequest, context: Any) -> pb.CompleteJobResponse:
        """End a running job as completed."""
        found, spec = await readable_with_spec(self._plane, request.job_id)
        actor = Actor.ADMIN if current_call().principal.role is Role.ADMIN else Actor.RENTER
        job = await self._plane.job_commands.complete(found.id, actor)
        return pb.CompleteJobResponse(
            success=True, **public_head(job), job=shown(self._plane, job, spec), billing=billing(job)
        )

    async def ListJobExecutions(
        self, request: pb.ListJobExecutionsRequest, context: Any
    ) -> pb.ListJobExecutionsResponse:
        """List the attempts at a job."""
        principal = current_call().principal

        def with_attempts(conn: Connection) -> tuple[JobRow, list[AttemptRow]]:
            job = readable(conn, request.job_id, principal)
            return job, list(jobs.attempts(conn, job.id))

        job, attempts = await self._plane.db.read(with_attempts)
        return pb.ListJobExecutionsResponse(
            job_id=job.job_id,
            status=job.status,
            cost_halala=job.cost_halala,
            actual_cost_halala=to_value(job.actual_cost_halala),
            retry_count=job.retry_count,
            executions=[_execution(job, attempt, self._sees_detail(attempt, principal)) for attempt in attempts],
        )

    def _sees_detail(self, attempt: AttemptRow, reader: Principal) -> bool:
        # A machine's own words may hold what is in its house: they are for who lives there and for admins.
        machine = self._plane.fleet.get(attempt.provider_id)
        is_own = machine is not None and reader.account_id in (machine.id, machine.account_id)
        return reader.role is Role.ADMIN or (reader.role is Role.PROVIDER and is_own)

    async def GetJobInvoice(self, request: pb.GetJobInvoiceRequest, context: Any) -> pb.GetJobInvoiceResponse:
        """Show how a settled job was billed."""
        job = await readable_job(self._plane, request.job_id)
        # One condition for both: whatever ends a job settles it in the same transaction (contract 4.1).
        if job.completed_at_ms is None:
            raise errors.job_not_settled()
        return pb.GetJobInvoiceResponse(
            invoice_id=f"inv-{job.job_id}",
            job_id=job.job_id,
            renter_id=job.renter_id,
            job_type=job.job_type,
            pricing_class=job.pricing_class,
            rate_halala_per_minute=job.rate_halala_per_minute,
            quote_halala=job.cost_halala,
            used_seconds=float(job.used_seconds or 0),
            actual_cost_halala=job.actual_cost_halala or 0,
            refunded_halala=job.refunded_halala or 0,
            issued_at=iso(job.completed_at_ms),
            fault=to_value(job.fault),
            error_category=to_value(job.error_category),
            lines=in_arabic(invoice_lines(job)) if prefers_arabic() else invoice_lines(job),
            hold_rate_halala_per_minute=to_value(minute_rate(job, job.hold_price_bps)),
            run_rate_halala_per_minute=to_value(minute_rate(job, job.run_price_bps)),
        )

    async def GetJobOutputImage(self, request: job_progress_pb2.GetJobOutputImageRequest, context: Any) -> HttpBody:
        """Send the image a job made, in the format it is stored in."""
        found = await self._readable_output(request.job_id)
        wanted = image_format(request.format)
        if wanted is None:
            raise errors.output_format_unavailable(request.format)
        # After the format: a name that is none is the caller's mistake, whatever state the job is in.
        if found.job.status != JobStatus.COMPLETED or found.job.documents_erased_at_ms is not None:
            return await output_body(self._plane, found)
        if found.result is None:
            current_call().http_status = _NOTHING_TO_SEND
            return HttpBody()
        image = stored_image(found.result, wanted)
        if image is None:
            raise errors.output_format_unavailable(request.format)
        return image


def _execution(job: JobRow, attempt: AttemptRow, with_detail: bool) -> pb.JobExecution:
    detail = attempt.error_detail if with_detail else None
    return pb.JobExecution(
        attempt_number=attempt.attempt_number,
        provider_id=attempt.provider_id,
        started_at=iso(attempt.started_at_ms),
        ended_at=time_value(attempt.ended_at_ms),
        exit_code=to_value(attempt.exit_code),
        gpu_seconds_used=to_value(attempt.gpu_seconds_used),
        outcome=to_value(_shown_outcome(attempt.outcome)),
        error_detail=to_value(detail),
        fault=to_value(attempt.fault),
        rate_halala_per_minute=to_value(minute_rate(job, attempt.price_bps)),
    )


def _shown_outcome(stored: str | None) -> str | None:
    """Return how an attempt ended; the category of an ordinary failure is the job's to tell."""
    if stored is None or stored in (JobStatus.COMPLETED, JobStatus.CANCELLED):
        return stored
    # By its text, for that of a newer server is no category here.
    return next((shown for category, shown in _OUTCOMES.items() if category == stored), JobStatus.FAILED)
