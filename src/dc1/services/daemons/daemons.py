"""DaemonService: calls of daemons that speak HTTP only, beside the heartbeat, the poll and the reports on a run."""

from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.task_signatures import is_signature_of_any, task_text
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_number, plain
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import JobStatus
from dc1.domain.providers import machine_grading
from dc1.domain.providers.reports import Report, read_report
from dc1.services.api.call import caller_id
from dc1.services.api.values import from_struct, from_value, time_value, to_struct, to_value
from dc1.services.jobs.lists import statuses_of
from dc1.services.providers.access import own_provider, require_approved
from dc1.storage.accounts import keys as key_rows
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import daemon_service_pb2 as pb
from dcp.v1.daemon_service_pb2_grpc import DaemonServiceServicer

_JOBS_SHOWN, _MOST_JOBS = 50, 200
_LARGEST_EVENT = 128 * 1024


class DaemonServicer(DaemonServiceServicer):
    """Daemons that speak HTTP only."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    # Presence

    async def BeatProvider(self, request: pb.BeatProviderRequest, context: Any) -> pb.BeatProviderResponse:
        """Take a short heartbeat."""
        provider = await own_provider(self._plane, request.provider_id)
        await require_approved(self._plane, provider)
        at_ms = self._heard(provider, read_report({"gpu_status": _short_status(request)}))
        working = as_number(from_value(request.jobs_active))
        running = sum(lease.running for lease in self._plane.leases.of_provider(provider.id))
        if working is not None and 0 < running <= working:
            self._plane.polling.taken_up(provider.id)
        return pb.BeatProviderResponse(**self._presence(provider, at_ms))

    async def GoOnline(self, request: pb.GoOnlineRequest, context: Any) -> pb.GoOnlineResponse:
        """Note that the daemon is there."""
        provider = await own_provider(self._plane, request.provider_id)
        await require_approved(self._plane, provider)
        return pb.GoOnlineResponse(**self._presence(provider, self._heard(provider, Report())))

    async def GoOffline(self, request: pb.GoOfflineRequest, context: Any) -> pb.GoOfflineResponse:
        """Note that the daemon leaves, and dispatch its jobs anew."""
        provider = await own_provider(self._plane, request.provider_id)
        await require_approved(self._plane, provider)
        self._plane.fleet.presence.sign_off(provider)
        await self._plane.attempts.evict(provider, "The provider went offline")
        return pb.GoOfflineResponse(**self._presence(provider, self._plane.clock.now_ms()))

    def _heard(self, provider: Provider, report: Report) -> int:
        at_ms = self._plane.fleet.presence.heartbeat(provider, report)
        self._plane.dispatcher.wake(provider.id)
        return at_ms

    def _presence(self, provider: Provider, at_ms: int) -> dict[str, Any]:
        status = provider.status(at_ms, self._plane.fleet.thresholds)
        return {"success": True, "provider_id": provider.id, "status": status, "timestamp": iso(at_ms)}

    # The machine

    async def ReportReadiness(self, request: pb.ReportReadinessRequest, context: Any) -> pb.ReportReadinessResponse:
        """Judge the daemon's checks of its machine."""
        _require_event_size(request)
        checks = from_struct(request.checks)
        version = request.daemon_version if request.HasField("daemon_version") else None
        ready = await self._plane.machine_reports.readiness(caller_id(), checks, version)
        return pb.ReportReadinessResponse(
            success=True, readiness_status="ready" if ready else "failed", checks=to_struct(checks)
        )

    async def ReportBenchmark(self, request: pb.ReportBenchmarkRequest, context: Any) -> pb.ReportBenchmarkResponse:
        """Grade a benchmark of the machine."""
        provider = await own_provider(self._plane, request.provider_id)
        measured: JsonObject = {
            field.name: value for field, value in request.ListFields() if field.name != "provider_id"
        }
        tier = await self._plane.machine_reports.benchmark(provider.id, request.tflops, request.vram_gb, measured)
        return pb.ReportBenchmarkResponse(success=True, tier=tier)

    async def ReportDaemonEvent(
        self, request: pb.ReportDaemonEventRequest, context: Any
    ) -> pb.ReportDaemonEventResponse:
        """Store an event for the operators to see."""
        _require_event_size(request)
        provider_id = caller_id()
        details = from_value(request.details)
        await self._plane.machine_reports.event(provider_id, request.event_type, request.severity or "info", details)
        return pb.ReportDaemonEventResponse(success=True, event_type=request.event_type, provider_id=provider_id)

    # Jobs

    async def ReportRunResult(self, request: pb.ReportRunResultRequest, context: Any) -> pb.ReportRunResultResponse:
        """End a run and settle it."""
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        reference = from_value(request.job_id)
        if isinstance(reference, bool) or not isinstance(reference, str | int):
            raise errors.invalid_field("job_id", "must be a string or a whole number")
        ended = await self._plane.attempts.finish(caller_id(), str(reference), attempt, _attempt_report(request))
        job = ended.job
        used = plain(job.used_seconds) if job.used_seconds is not None and job.status == JobStatus.COMPLETED else 0
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
            restart_count=max(0, request.restart_count),
            last_error=to_value(request.last_error if request.HasField("last_error") else None),
        )

    async def ReportEndpointReady(
        self, request: pb.ReportEndpointReadyRequest, context: Any
    ) -> pb.ReportEndpointReadyResponse:
        """Note where a model is served."""
        url = machine_grading.endpoint_url(request.provider_ip, request.port)
        if url is None:
            raise errors.invalid_field("provider_ip", "must be a public address")
        attempt = request.attempt_number if request.HasField("attempt_number") else None
        await self._plane.attempts.endpoint_ready(caller_id(), request.job_id, attempt, url)
        return pb.ReportEndpointReadyResponse(success=True, endpoint_url=url)

    async def ListDaemonJobs(self, request: pb.ListDaemonJobsRequest, context: Any) -> pb.ListDaemonJobsResponse:
        """List a provider's jobs, newest first, and hand out nothing."""
        provider = await own_provider(self._plane, request.provider_id)
        wanted = JobFilter(provider_id=provider.id, statuses=statuses_of(request.status))
        limit = min(request.limit or _JOBS_SHOWN, _MOST_JOBS)

        def work(conn: Connection) -> tuple[list[tuple[JobRow, JobSpec]], int]:
            page = jobs.page(conn, wanted, limit=limit)
            documents = jobs.specs(conn, [job.id for job in page.rows])
            return [(job, documents[job.id]) for job in page.rows], page.total

        found, total = await self._plane.db.read(work)
        return pb.ListDaemonJobsResponse(jobs=[_daemon_job(job, spec) for job, spec in found], total=total)

    async def VerifyTaskHmac(self, request: pb.VerifyTaskHmacRequest, context: Any) -> pb.VerifyTaskHmacResponse:
        """Tell whether a code is the one that came with a task of the caller."""
        provider_id, now_ms = caller_id(), self._plane.clock.now_ms()

        def work(conn: Connection) -> tuple[list[str], list[str]]:
            found = jobs.find(conn, request.job_id) if request.job_id else None
            named = [] if found is None or found.provider_id != provider_id else [found]
            held = named if request.job_id else jobs.open_jobs(conn, provider_id=provider_id)
            tasks = [task_text(spec.task_spec) for spec in jobs.specs(conn, [job.id for job in held]).values()]
            live = [key for key in key_rows.list_of(conn, KeyRole.PROVIDER, provider_id) if key.is_live(now_ms)]
            return [key.key_hash for key in live], [text for text in tasks if text is not None]

        hashes, texts = await self._plane.db.read(work)
        return pb.VerifyTaskHmacResponse(valid=is_signature_of_any(request.hmac, hashes, texts))


def _require_event_size(request: pb.ReportReadinessRequest | pb.ReportDaemonEventRequest) -> None:
    if request.ByteSize() > _LARGEST_EVENT:
        raise errors.request_body_too_large()


def _short_status(request: pb.BeatProviderRequest) -> JsonValue:
    """Return a short heartbeat in the words of the long one, None when it says nothing."""
    sent = {field.name: from_value(value) for field, value in request.ListFields() if field.name != "provider_id"}
    total, used = as_number(sent.get("vram_total_mb")), as_number(sent.get("vram_used_mb"))
    known: JsonObject = {
        "gpu_util_pct": sent.get("gpu_utilization"),
        "gpu_vram_mib": sent.get("vram_total_mb"),
        "free_vram_mib": plain(total - used) if total is not None and used is not None else None,
    }
    told: JsonObject = {name: value for name, value in (sent | known).items() if value is not None}
    return told or None


def _attempt_report(request: pb.ReportRunResultRequest) -> AttemptReport:
    return AttemptReport.read(
        completed=request.success,
        result=from_value(request.result),
        error=request.error or request.last_error,
        gpu_seconds=request.gpu_seconds_used if request.HasField("gpu_seconds_used") else None,
        exit_code=request.exit_code if request.HasField("exit_code") else None,
    )


def _daemon_job(job: JobRow, spec: JobSpec) -> pb.DaemonJob:
    return pb.DaemonJob(
        id=job.id,
        job_id=job.job_id,
        job_type=job.job_type,
        model=to_value(job.model),
        status=job.status,
        attempt_number=job.attempt_number,
        duration_minutes=float(job.duration_minutes or 0),
        max_duration_seconds=job.max_duration_seconds,
        cost_halala=job.cost_halala,
        earned_halala=job.provider_earned_halala or 0,
        container_spec=to_struct(spec.container_spec),
        params=to_value(spec.params),
        submitted_at=iso(job.submitted_at_ms),
        started_at=time_value(job.started_at_ms),
        completed_at=time_value(job.completed_at_ms),
    )
