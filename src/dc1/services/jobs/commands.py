"""JobService: what renters do with jobs, and what daemons that speak HTTP report of them."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.control.control_plane import ControlPlane
from dc1.control.operations.submission import Submitted
from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor, JobStatus, Phase
from dc1.domain.jobs.submission import accept
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.event_stream import follow, resume_point
from dc1.services.api.idempotency import IdempotentCalls
from dc1.services.api.values import NULL, from_value, to_value
from dc1.services.jobs.access import existing, provider_of, readable, readable_job, readable_with_spec, shown
from dc1.services.jobs.lifecycles import lifecycle_reader
from dc1.services.jobs.lists import SCHEMA_VERSION, job_summary, log_line, statuses_of
from dc1.services.jobs.log_stream import LogReader
from dc1.services.jobs.messages import billing, container_image, job_detail, job_fields
from dc1.services.jobs.output import output_body, readable_output
from dc1.services.jobs.submissions import submit_body
from dc1.storage.engine.database import Connection
from dc1.storage.engine.transaction_hook import TransactionHook
from dc1.storage.jobs import job_logs, jobs
from dc1.storage.jobs.job_logs import LogLine
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import job_service_pb2 as pb
from dcp.v1.job_pb2 import Job
from dcp.v1.job_service_pb2_grpc import JobServiceServicer

_QUEUED_MESSAGE = "The job is queued and starts as soon as a fitting provider is free."


class JobServicer(JobServiceServicer):
    """Jobs."""

    def __init__(self, plane: ControlPlane, idempotent: IdempotentCalls) -> None:
        self._plane = plane
        self._idempotent = idempotent

    # Renters

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Any) -> pb.SubmitJobResponse:
        """Accept a job."""
        renter_id = caller_id()

        async def submit(hook: TransactionHook[Submitted]) -> Submitted:
            order = accept(submit_body(request), self._plane.catalog.approved_images)
            return await self._plane.job_commands.submit(renter_id, order, hook)

        return await self._idempotent.run(pb.SubmitJobResponse, submit, _submit_answer)

    async def RetryJob(self, request: pb.RetryJobRequest, context: Any) -> pb.RetryJobResponse:
        """Submit a failed job anew."""
        now_ms = self._plane.clock.now_ms()

        async def retry(hook: TransactionHook[Submitted]) -> Submitted:
            failed, spec = await readable_with_spec(self._plane, request.job_id)
            return await self._plane.job_commands.retry(failed, spec, hook)

        def answer(new: Submitted) -> pb.RetryJobResponse:
            return pb.RetryJobResponse(success=True, job=job_detail(new.job, new.spec, now_ms, new.position))

        return await self._idempotent.run(pb.RetryJobResponse, retry, answer)

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        """List the caller's own jobs."""
        limit = min(request.limit or 50, 200)
        wanted = JobFilter(renter_id=caller_id(), statuses=statuses_of(request.status))
        page = await self._plane.db.read(lambda conn: jobs.page(conn, wanted, limit=limit, offset=request.offset))
        found = [job_summary(job, provider_of(self._plane, job)) for job in page.rows]
        return pb.ListJobsResponse(total=page.total, limit=limit, offset=request.offset, jobs=found)

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        """Show one job."""
        job, spec = await readable_with_spec(self._plane, request.job_id)
        detail = shown(self._plane, job, spec)
        return pb.GetJobResponse(
            job=detail,
            id=job.job_id,
            status=job.status,
            container_image=container_image(spec),
            created_at=detail.submitted_at,
        )

    async def GetJobOutput(self, request: pb.GetJobOutputRequest, context: Any) -> HttpBody:
        """Answer with the job's output."""
        found = await readable_output(self._plane, request.job_id)
        return output_body(self._plane, found, current_call().metadata.get("accept", ""))

    async def ListJobLogs(self, request: pb.ListJobLogsRequest, context: Any) -> pb.ListJobLogsResponse:
        """List log lines."""
        limit = min(request.limit or 200, 1000)
        attempt = request.attempt if request.HasField("attempt") else None
        principal = current_call().principal

        def work(conn: Connection) -> tuple[JobRow, Any]:
            job = readable(conn, request.job_id, principal)
            # One more than asked for tells whether there are more.
            page = job_logs.page(conn, job.id, since=request.since, limit=limit + 1, attempt_number=attempt)
            return job, page

        job, page = await self._plane.db.read(work)
        return pb.ListJobLogsResponse(
            schema_version=SCHEMA_VERSION,
            job_id=job.job_id,
            status=job.status,
            logs=[log_line(row) for row in page.rows[:limit]],
            total_lines=page.total,
            has_more=len(page.rows) > limit,
        )

    async def StreamJobLogs(self, request: pb.StreamJobLogsRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Stream log lines, and generated text where it is asked for."""
        job = await readable_job(self._plane, request.job_id)
        since = resume_point(request.since) or 0
        async for body in follow(LogReader(self._plane, job.id, since, tokens=request.tokens)):
            yield body

    async def ListJobLifecycle(self, request: pb.ListJobLifecycleRequest, context: Any) -> pb.ListJobLifecycleResponse:
        """List lifecycle events."""
        read = lifecycle_reader(request)
        principal = current_call().principal
        fields = await self._plane.db.read(lambda conn: read(conn, readable(conn, request.job_id, principal)))
        return pb.ListJobLifecycleResponse(**fields)

    async def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        """Cancel a job that is not terminal."""
        found, spec = await readable_with_spec(self._plane, request.job_id)
        actor = Actor.ADMIN if current_call().principal.role is Role.ADMIN else Actor.RENTER
        job = await self._plane.job_commands.cancel(found.id, actor)
        return pb.CancelJobResponse(
            success=True,
            job=shown(self._plane, job, spec),
            refunded_halala=job.refunded_halala or 0,
            charged_halala=job.actual_cost_halala or 0,
        )

    # Daemons that speak HTTP

    async def ReportProgress(self, request: pb.ReportProgressRequest, context: Any) -> pb.ReportProgressResponse:
        """Note the phase of a run."""
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        job = await self._plane.attempts.progress(caller_id(), request.job_id, attempt, Phase(request.phase))
        return pb.ReportProgressResponse(success=True, phase=request.phase, job_status=job.status)

    async def AppendJobLogs(self, request: pb.AppendJobLogsRequest, context: Any) -> pb.AppendJobLogsResponse:
        """Store log lines."""
        now_ms = self._plane.clock.now_ms()
        lines = [LogLine(line.level or "info", line.message, now_ms) for line in request.lines]
        if request.HasField("line"):
            lines.append(LogLine("info", request.line, now_ms))
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        logged = await self._plane.attempts.append_logs(caller_id(), request.job_id, attempt, lines)
        return pb.AppendJobLogsResponse(
            success=True, lines_written=len(logged.rows), attempt_number=logged.attempt, job_status=logged.job.status
        )

    async def ReportJobResult(self, request: pb.ReportJobResultRequest, context: Any) -> pb.ReportJobResultResponse:
        """End a run and settle it."""
        principal = current_call().principal
        provider_id = None if principal.role is Role.ADMIN else principal.account_id
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        actor = Actor.ADMIN if provider_id is None else Actor.PROVIDER
        job = await self._plane.db.read(lambda conn: existing(conn, request.job_id))
        report = _attempt_report(request, job.max_duration_seconds, actor)
        received = await self._plane.attempts.finish(
            provider_id, request.job_id, attempt, report, transient=request.transient
        )
        if received.promoted_on is not None:
            # Who asks next finds the job where the answer says that it is.
            await self._plane.dispatcher.serve(received.promoted_on)
        if received.retried:
            return pb.ReportJobResultResponse(
                success=False,
                retry=True,
                attempt=received.job.retry_count,
                max_retries=received.job.max_retries,
                job_id=received.job.job_id,
                message="The job was put back for another attempt.",
            )
        spec = await self._plane.db.read(lambda conn: jobs.spec(conn, received.job.id))
        return pb.ReportJobResultResponse(
            success=True,
            job=shown(self._plane, received.job, spec),
            billing=billing(received.job),
            next_job_promoted=received.promoted_on is not None,
        )


def _submit_answer(submitted: Submitted) -> pb.SubmitJobResponse:
    job = submitted.job
    queued = job.status == JobStatus.QUEUED
    shared = job_fields(job, submitted.spec, submitted.position)
    return pb.SubmitJobResponse(
        success=True,
        queued=queued,
        message=to_value(_QUEUED_MESSAGE) if queued else NULL,
        dispatch=pb.Dispatch(
            assigned=not queued,
            queued=queued,
            hold_id=job.job_id,
            provider=NULL if queued else to_value({"id": job.provider_id, "name": submitted.provider_name}),
        ),
        job=Job(**shared),
        **shared,
    )


def _attempt_report(request: pb.ReportJobResultRequest, max_duration_seconds: int, actor: Actor) -> AttemptReport:
    result = from_value(request.result)
    if result is None and not request.error:
        raise errors.result_or_error_required()
    return AttemptReport.read(
        completed=not request.error,
        actor=actor,
        result=result,
        error=request.error,
        category=request.error_category,
        gpu_seconds=request.gpu_seconds if request.HasField("gpu_seconds") else None,
        duration_seconds=request.duration_seconds if request.HasField("duration_seconds") else None,
        most_seconds=max_duration_seconds,
        prompt_tokens=request.prompt_tokens if request.HasField("prompt_tokens") else None,
        completion_tokens=request.completion_tokens if request.HasField("completion_tokens") else None,
    )
