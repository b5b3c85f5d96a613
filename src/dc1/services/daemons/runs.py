"""What a daemon that speaks HTTP takes and says of the jobs that it runs."""

from functools import partial
from typing import Any

from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.leases import Assignment
from dc1.domain import errors
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import Role
from dc1.domain.access.task_signatures import is_signature_of_any, task_text
from dc1.domain.base.clock import iso
from dc1.domain.base.numeric import plain
from dc1.domain.jobs.attempt_report import AttemptReport, longest_report_seconds
from dc1.domain.jobs.container_spec import daemon_container_spec
from dc1.domain.jobs.faults import CONSEQUENCES
from dc1.domain.jobs.placement import Admission
from dc1.domain.jobs.states import Actor, JobStatus, LogLevel, Phase
from dc1.domain.jobs.tasks.daemon_tasks import daemon_task, seconds_of_one_run
from dc1.domain.providers import machine_grading
from dc1.services.api.apart import apart
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.parts import ServicerPart
from dc1.services.api.provider_access import calling_provider, own_provider
from dc1.services.api.values import NULL, from_value, message_json, time_value, to_struct, to_value
from dc1.services.jobs.access import known_job, shown, statuses_of
from dc1.services.jobs.messages import MOST_DOCUMENTS, billing, polled_assignment, provider_share
from dc1.storage.accounts import keys as key_rows
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_logs import LogLine
from dc1.storage.jobs.job_records import JobRow, JobSpec, ordered
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import daemon_run_pb2 as pb
from dcp.v1 import report_pb2

_JOBS_SHOWN, _MOST_JOBS = 50, 200


class RunCalls(ServicerPart):
    """Taking work, reporting on it, and ending it."""

    async def NextJob(self, request: pb.NextJobRequest, context: Any) -> pb.NextJobResponse:
        """Hand the next fitting job to a daemon that polls; that starts the run."""
        provider = await calling_provider(self._plane)
        lease, admission = await self._plane.polling.next_for(provider)
        # A Value and no message, because none has to print as null.
        job = NULL if lease is None else to_value(message_json(self._handed_out(lease.assignment, provider)))
        return pb.NextJobResponse(
            job=job,
            # Under both names: some daemons read the list.
            jobs=[] if lease is None else [job],
            admission=pb.Admission(
                accepted=lease is not None, reason_code=admission, reason=self._reason(provider, admission)
            ),
        )

    def _handed_out(self, assignment: Assignment, provider: Provider) -> report_pb2.Assignment:
        key_hash = current_call().principal.key_hash
        images = self._plane.catalog.images_by_type
        return polled_assignment(assignment, images, key_hash, scripted=provider.scripted)

    def _scripted(self, provider_id: int) -> bool:
        provider = self._plane.fleet.get(provider_id)
        return provider is not None and provider.scripted

    def _reason(self, provider: Provider, admission: Admission) -> str:
        reluctance = self._plane.fleet.view(provider).reluctance
        # The contract's codes have no word for the owner's preferences; the text says what keeps the daemon from work.
        hindered = admission in (Admission.PROVIDER_BUSY, Admission.PROVIDER_PAUSED) and not provider.pauses
        return reluctance if hindered and reluctance is not None else _REASONS[admission]

    async def ReportProgress(self, request: pb.ReportProgressRequest, context: Any) -> pb.ReportProgressResponse:
        """Note the phase of a run."""
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        job = await self._plane.attempts.progress(caller_id(), request.job_id, attempt, Phase(request.phase))
        return pb.ReportProgressResponse(success=True, phase=request.phase, job_status=job.status)

    async def AppendJobLogs(self, request: pb.AppendJobLogsRequest, context: Any) -> pb.AppendJobLogsResponse:
        """Store log lines."""
        now_ms = self._plane.clock.now_ms()
        lines = [LogLine(LogLevel(line.level or LogLevel.INFO), line.message, now_ms) for line in request.lines]
        if request.HasField("line"):
            lines.append(LogLine(LogLevel.INFO, request.line, now_ms))
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        logged = await self._plane.attempts.append_logs(caller_id(), request.job_id, attempt, lines)
        return pb.AppendJobLogsResponse(
            success=True, lines_written=len(logged.rows), attempt_number=logged.attempt, job_status=logged.job.status
        )

    async def ReportEndpointReady(
        self, request: pb.ReportEndpointReadyRequest, context: Any
    ) -> pb.ReportEndpointReadyResponse:
        """Note where a model is served.

        Raises:
            invalid_field: Renters could not reach the address.
        """
        # The client's address as trusted proxies name it, for a machine that does not know its own.
        url = machine_grading.endpoint_url(request.provider_ip or current_call().address, request.port)
        if url is None:
            asked = (
                "must be a public address" if request.provider_ip else "is needed: the call comes from no public one"
            )
            raise errors.invalid_field("provider_ip", asked)
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        await self._plane.attempts.endpoint_ready(caller_id(), request.job_id, attempt, url)
        return pb.ReportEndpointReadyResponse(success=True, endpoint_url=url)

    async def ReportJobResult(self, request: pb.ReportJobResultRequest, context: Any) -> pb.ReportJobResultResponse:
        """End a run and settle it."""
        principal = current_call().principal
        provider_id = None if principal.role is Role.ADMIN else principal.account_id
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        actor = Actor.ADMIN if provider_id is None else Actor.PROVIDER
        # Read apart, for the longest that a report of it may claim; that does not change while a job lives.
        job = await self._plane.db.read(lambda conn: known_job(conn, request.job_id))
        scripted = provider_id is not None and self._scripted(provider_id)
        most_seconds = longest_report_seconds(job.max_duration_seconds)
        read = partial(_job_report, request, most_seconds, actor, scripted=scripted)
        report = await apart(request.ByteSize(), read)
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

    async def ReportRunResult(self, request: pb.ReportRunResultRequest, context: Any) -> pb.ReportRunResultResponse:
        """End a run and settle it.

        Raises:
            invalid_field: The job is named by neither kind of id.
        """
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        reference = from_value(request.job_id)
        # A bool is an int to Python, and `true` names no job.
        if isinstance(reference, bool) or not isinstance(reference, str | int):
            raise errors.invalid_field("job_id", "must be a string or a whole number")
        # Without `transient`, which this route does not have (contract 3.4): its daemons take any answer as final
        # (contract 8).
        scripted = self._scripted(caller_id())
        report = await apart(request.ByteSize(), partial(_run_report, request, scripted=scripted))
        ended = await self._plane.attempts.finish(caller_id(), str(reference), attempt, report)
        job = ended.job
        # What is not billed is shown as nothing.
        used = plain(job.used_seconds) if job.used_seconds is not None and _is_billed(job) else 0
        return pb.ReportRunResultResponse(
            success=True,
            job_id=job.job_id,
            status=job.status,
            actual_minutes=round(used / 60, 4),
            gpu_seconds_used=used,
            cost_halala=job.actual_cost_halala or 0,
            provider_earned_halala=job.provider_earned_halala or 0,
            dc1_fee_halala=job.dc1_fee_halala or 0,
            refunded_halala=job.refunded_halala or 0,
            # Said back and not kept: nothing here depends on it.
            restart_count=max(0, request.restart_count),
            last_error=to_value(request.last_error if request.HasField("last_error") else None),
        )

    async def FailJob(self, request: pb.FailJobRequest, context: Any) -> pb.FailJobResponse:
        """End a running job as failed."""
        principal = current_call().principal
        provider_id = None if principal.role is Role.ADMIN else principal.account_id
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        report = AttemptReport.read(
            completed=False,
            actor=Actor.ADMIN if provider_id is None else Actor.PROVIDER,
            error=request.error,
            category=request.error_category,
            exit_code=request.exit_code if request.HasField("exit_code") else None,
        )
        job = (await self._plane.attempts.finish(provider_id, request.job_id, attempt, report)).job
        return pb.FailJobResponse(
            success=True, job_id=job.job_id, refunded_halala=job.refunded_halala or 0, status=job.status
        )

    async def ListDaemonJobs(self, request: pb.ListDaemonJobsRequest, context: Any) -> pb.ListDaemonJobsResponse:
        """List a provider's jobs, newest first, and hand out nothing."""
        provider = await own_provider(self._plane, request.provider_id)
        # From storage and without a lease: with the key in its query this route only shows (contract 8).
        wanted = JobFilter(provider_id=provider.id, statuses=statuses_of(request.status))
        limit = min(request.limit or _JOBS_SHOWN, _MOST_JOBS)

        def read_page(conn: Connection) -> tuple[list[tuple[JobRow, JobSpec | None]], int]:
            page = jobs.page(conn, wanted, limit=limit)
            ids = [job.id for job in page.rows]
            documents = jobs.fitting_specs(conn, ids, max_characters=MOST_DOCUMENTS)
            return [(job, documents.get(job.id)) for job in page.rows], page.total

        found, total = await self._plane.db.read_history(read_page)
        return pb.ListDaemonJobsResponse(jobs=[_daemon_job(job, spec) for job, spec in found], total=total)

    async def VerifyTaskHmac(self, request: pb.VerifyTaskHmacRequest, context: Any) -> pb.VerifyTaskHmacResponse:
        """Tell whether a code is the one that came with a task of the caller."""
        provider_id, now_ms = caller_id(), self._plane.clock.now_ms()

        def read_signed(conn: Connection) -> tuple[list[str], list[str]]:
            found = jobs.find(conn, request.job_id) if request.job_id else None
            # A job of somebody else is as good as none: this answers yes or no and tells nothing more.
            named = [] if found is None or found.provider_id != provider_id else [found]
            held = named if request.job_id else jobs.leased_by(conn, provider_id)
            specs = jobs.specs(conn, [job.id for job in held])
            tasks = [text for job in held if (spec := specs.get(job.id)) for text in _texts(job, spec)]
            # A task was signed with the key of the poll that fetched it, which may have been rotated since and be in
            # its grace.
            live = [key for key in key_rows.list_of(conn, KeyRole.PROVIDER, provider_id) if key.is_live(now_ms)]
            return [key.key_hash for key in live], tasks

        hashes, texts = await self._plane.db.read(read_signed)
        return pb.VerifyTaskHmacResponse(valid=is_signature_of_any(request.hmac, hashes, texts))


def _texts(job: JobRow, spec: JobSpec) -> list[str]:
    """Return the texts that a job's task may have been handed out as: the renter's own, and the script of its order."""
    task = daemon_task(ordered(job, spec))
    texts = (task_text(spec.task_spec), None if task is None else task.text)
    return [text for text in texts if text is not None]


def _job_report(
    request: pb.ReportJobResultRequest, most_seconds: int, actor: Actor, *, scripted: bool
) -> AttemptReport:
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
        most_seconds=most_seconds,
        prompt_tokens=request.prompt_tokens if request.HasField("prompt_tokens") else None,
        completion_tokens=request.completion_tokens if request.HasField("completion_tokens") else None,
        exit_code=request.exit_code if request.HasField("exit_code") else None,
        is_object=scripted and isinstance(result, dict),
    )


def _run_report(request: pb.ReportRunResultRequest, *, scripted: bool) -> AttemptReport:
    result = from_value(request.result)
    seconds = request.gpu_seconds_used if request.HasField("gpu_seconds_used") else None
    if scripted and seconds is not None:
        seconds = seconds_of_one_run(seconds, request.restart_count)
    return AttemptReport.read(
        completed=request.success,
        result=result,
        is_object=scripted and isinstance(result, dict),
        # A failure that is told in `last_error` alone would otherwise read as if nobody had said why.
        error=request.error or request.last_error,
        category=request.error_category,
        gpu_seconds=seconds,
        exit_code=request.exit_code if request.HasField("exit_code") else None,
    )


def _is_billed(job: JobRow) -> bool:
    return job.status == JobStatus.COMPLETED or (job.fault is not None and CONSEQUENCES[job.fault].charged)


def _daemon_job(job: JobRow, spec: JobSpec | None) -> pb.DaemonJob:
    return pb.DaemonJob(
        id=job.id,
        job_id=job.job_id,
        job_type=job.job_type,
        model=to_value(job.model),
        status=job.status,
        attempt_number=job.attempt_number,
        # Never null here (contract 8), though it is in the job itself.
        duration_minutes=float(job.duration_minutes or 0),
        max_duration_seconds=job.max_duration_seconds,
        cost_halala=job.cost_halala,
        earned_halala=job.earned_halala,
        provider_earnings_halala=provider_share(job),
        container_spec=None if spec is None else to_struct(daemon_container_spec(spec.container_spec)),
        params=NULL if spec is None else to_value(spec.said),
        documents_left_out=True if spec is None else None,
        submitted_at=iso(job.submitted_at_ms),
        started_at=time_value(job.started_at_ms),
        completed_at=time_value(job.completed_at_ms),
    )


# For people to read; daemons go by the code.
_REASONS = {
    Admission.ADMISSION_OK: "The run has started.",
    Admission.NO_PENDING_JOBS: "No job waits.",
    Admission.PROVIDER_BUSY: "Every slot is taken.",
    Admission.PROVIDER_PAUSED: "The provider is paused.",
    Admission.PROVIDER_SUSPENDED: "The provider is suspended.",
    Admission.PROVIDER_NOT_APPROVED: "The provider is not approved.",
    Admission.PROVIDER_OFFLINE: "No heartbeat came lately.",
    Admission.INSUFFICIENT_VRAM: "The waiting jobs need more VRAM.",
    Admission.INSUFFICIENT_GPU_COUNT: "The waiting jobs need more GPUs.",
    Admission.GPU_TYPE_MISMATCH: "The waiting jobs need another GPU type.",
    Admission.COMPUTE_TYPE_UNSUPPORTED: "The waiting jobs are of another kind.",
    Admission.MODEL_UNSUPPORTED_ON_PROVIDER: "The waiting jobs need another model.",
    Admission.PRICE_ABOVE_HOLD: "The waiting jobs pay less than this machine asks.",
    Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER: "No waiting job fits this provider.",
}
