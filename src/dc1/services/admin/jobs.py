"""AdminJobService: admins looking after jobs."""

import asyncio
from datetime import date
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.base.clock import DAY_MS, iso, parse_iso
from dc1.domain.base.json_types import compact
from dc1.domain.jobs.states import JOB_TYPES, Actor, JobStatus
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.admin.messages import COLUMNS, admin_job, plain_job
from dc1.services.api.call import current_call
from dc1.services.api.csv_files import csv_file
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import NULL, message_json, stated_reason, to_value
from dc1.services.jobs.access import IN_PROGRESS, known_job, shown, statuses_of
from dc1.services.jobs.lifecycle import lifecycle_reader
from dc1.services.jobs.messages import billing, job_detail
from dc1.services.providers.messages import admin_provider
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import admin_jobs, jobs
from dc1.storage.jobs.admin_jobs import JobStats, NamedJob
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import admin_job_service_pb2 as pb

_EXPORTED = 10_000


class SupervisedJobCalls(ServicerPart):
    """Jobs of all renters."""

    async def ListAllJobs(self, request: pb.ListAllJobsRequest, context: Any) -> pb.ListAllJobsResponse:
        """List jobs, newest first, with sums over those that match."""
        pages = Pages.asked(request, most=500)
        wanted = _filter(request)

        def read_matching(conn: Connection) -> tuple[JobStats, list[NamedJob]]:
            page = admin_jobs.latest(conn, wanted, limit=pages.limit, offset=pages.offset)
            return admin_jobs.stats(conn, wanted), page

        stats, page = await self._plane.db.read_history(read_matching)
        return pb.ListAllJobsResponse(
            stats=pb.JobStats(
                total=stats.total,
                completed=stats.completed,
                failed=stats.failed,
                active=stats.active,
                total_revenue_halala=stats.revenue_halala,
            ),
            jobs=[admin_job(named) for named in page],
            pagination=pages.of(stats.total),
        )

    async def InspectJob(self, request: pb.InspectJobRequest, context: Any) -> pb.InspectJobResponse:
        """Show a job with its provider and what it cost."""
        job, spec = await self._job(request.job_id)
        # Before that there is no bill, and zeros would read like one.
        settled = job.actual_cost_halala is not None
        return pb.InspectJobResponse(
            job=shown(self._plane, job, spec),
            provider=self._provider(job),
            billing=to_value(message_json(billing(job))) if settled else NULL,
        )

    def _provider(self, job: JobRow) -> Value:
        """Return the provider of the current or last attempt, or null."""
        fleet = self._plane.fleet
        provider_id = job.provider_id if job.provider_id is not None else job.last_provider_id
        provider = None if provider_id is None else fleet.get(provider_id)
        if provider is None:
            return NULL
        status = provider.status(self._plane.clock.now_ms(), fleet.thresholds)
        return to_value(message_json(admin_provider(provider, status, self._plane.dispatcher.speeds)))

    async def ListJobEvents(self, request: pb.ListJobEventsRequest, context: Any) -> pb.ListJobEventsResponse:
        """List lifecycle events."""
        read = lifecycle_reader(request)
        fields = await self._plane.db.read_history(lambda conn: read(conn, known_job(conn, request.job_id)))
        return pb.ListJobEventsResponse(**fields)

    async def ForceCancelJob(self, request: pb.ForceCancelJobRequest, context: Any) -> pb.ForceCancelJobResponse:
        """Cancel a job of any renter."""
        found = await self._plane.db.read(lambda conn: known_job(conn, request.job_id))
        job = await self._plane.job_commands.cancel(found.id, Actor.ADMIN)
        return pb.ForceCancelJobResponse(
            success=True,
            job_id=job.job_id,
            previous_status=_status_before_cancel(job),
            new_status=job.status,
            refunded_halala=job.refunded_halala or 0,
            charged_halala=job.actual_cost_halala or 0,
        )

    async def RequeueJob(self, request: pb.RequeueJobRequest, context: Any) -> pb.RequeueJobResponse:
        """Submit a failed job anew for its renter."""
        failed, spec = await self._job(request.job_id)
        # For the renter of the failed job, who pays for it again; only the trail names the admin.
        new = await self._plane.job_commands.retry(failed, spec, actor=Actor.ADMIN)
        detail = job_detail(new.job, new.spec, self._plane.clock.now_ms(), new.position, new.waiting_for)
        return pb.RequeueJobResponse(success=True, job=detail)

    async def RefundJob(self, request: pb.RefundJobRequest, context: Any) -> pb.RefundJobResponse:
        """Give a renter back what a settled job cost."""
        # As for any other entry: nothing is done to money without a reason.
        reason = stated_reason(request.reason)
        job = await self._plane.db.read(lambda conn: known_job(conn, request.job_id))
        done = await self._plane.wallets.give_back_charge(job, reason)
        return pb.RefundJobResponse(
            success=True,
            job_id=job.job_id,
            refunded_halala=done.returned,
            from_provider_halala=done.from_provider,
            from_platform_halala=done.returned - done.from_provider,
            new_balance_halala=done.new_balance,
            new_balance_sar=halala_to_sar(done.new_balance),
            ledger_id=done.entry_id,
        )

    async def ExportAllJobs(self, request: pb.ExportAllJobsRequest, context: Any) -> HttpBody:
        """Send jobs as a file, newest first."""
        named = await self._plane.db.read_history(lambda conn: admin_jobs.latest(conn, JobFilter(), limit=_EXPORTED))
        current_call().headers["content-disposition"] = f'attachment; filename="jobs.{request.format or "csv"}"'
        if request.format == "json":
            exported_at = iso(self._plane.clock.now_ms())
            # Ten thousand rows take a while to print, and on this loop daemons wait to be answered.
            data = await asyncio.to_thread(_json, named, exported_at)
            return HttpBody(content_type="application/json", data=data)
        rows = ([plain_job(item)[name] for name in COLUMNS] for item in named)
        return HttpBody(content_type="text/csv; charset=utf-8", data=await asyncio.to_thread(csv_file, COLUMNS, rows))

    async def _job(self, reference: str) -> tuple[JobRow, JobSpec]:
        def with_spec(conn: Connection) -> tuple[JobRow, JobSpec]:
            job = known_job(conn, reference)
            return job, jobs.spec(conn, job.id)

        return await self._plane.db.read(with_spec)


def _status_before_cancel(job: JobRow) -> JobStatus:
    """Return what a cancelled job was: it keeps the start and the provider that it had then."""
    if job.started_at_ms is not None:
        return JobStatus.RUNNING
    return JobStatus.QUEUED if job.provider_id is None else JobStatus.PENDING


def _json(named: list[NamedJob], exported_at: str) -> bytes:
    return compact({"exported_at": exported_at, "jobs": [plain_job(item) for item in named]}).encode()


def _filter(request: pb.ListAllJobsRequest) -> JobFilter:
    """Return what a request asks for; the status and the dates are refused by who reads them.

    Raises:
        invalid_enum: There is no such type of job.
    """
    if request.type and request.type not in JOB_TYPES:
        raise errors.invalid_enum("type", JOB_TYPES)
    until_ms = _time("date_to", request.date_to, whole_day=True)
    return JobFilter(
        renter_id=request.renter_id if request.HasField("renter_id") else None,
        shown_provider_id=request.provider_id if request.HasField("provider_id") else None,
        statuses=_statuses(request.status),
        job_type=request.type or None,
        submitted_from_ms=_time("date_from", request.date_from),
        # The contract's end is part of the range, the filter's is not.
        submitted_before_ms=None if until_ms is None else until_ms + 1,
        search=request.search.strip() or None,
    )


def _statuses(sent: str) -> frozenset[str]:
    named = {name.strip() for name in sent.split(",")} - {""}
    allowed = (*JobStatus, IN_PROGRESS)
    if not named <= set(allowed):
        raise errors.invalid_enum("status", allowed)
    return frozenset().union(*map(statuses_of, named))


def _time(field: str, sent: str, *, whole_day: bool = False) -> int | None:
    """Return the time that a field names, the last millisecond of a date if `whole_day`; None without one.

    Raises:
        invalid_field: It names none.
    """
    text = sent.strip()
    if not text:
        return None
    try:
        at_ms = parse_iso(text)
    except (ValueError, OverflowError):
        raise errors.invalid_field(field, "must be an ISO-8601 date or time") from None
    # A bare date as the end of a range means the whole of that day.
    return at_ms + DAY_MS - 1 if whole_day and _is_date(text) else at_ms


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
