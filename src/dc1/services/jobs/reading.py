"""Jobs as their renters, their providers and admins read them."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.clock import time_text
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.event_stream import follow, resume_point
from dc1.services.jobs.access import (
    provider_of_job,
    readable,
    readable_job,
    readable_with_spec,
    shown,
    statuses_of,
    store_shown_starts,
)
from dc1.services.jobs.lifecycle import lifecycle_reader
from dc1.services.jobs.log_stream import LogReader
from dc1.services.jobs.messages import SCHEMA_VERSION, container_image, job_summary, log_line, public_head
from dc1.services.jobs.output import OutputCalls, output_body
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_logs, jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import job_lists_pb2
from dcp.v1 import job_progress_pb2 as pb


class JobReadingCalls(OutputCalls):
    """Lists of jobs, and one job with its output, its log and its lifecycle."""

    async def ListJobs(self, request: job_lists_pb2.ListJobsRequest, context: Any) -> job_lists_pb2.ListJobsResponse:
        """List the caller's own jobs."""
        limit = min(request.limit or 50, 200)
        await store_shown_starts(self._plane)
        wanted = JobFilter(renter_id=caller_id(), statuses=statuses_of(request.status))
        page = await self._plane.db.read_history(
            lambda conn: jobs.page(conn, wanted, limit=limit, offset=request.offset)
        )
        found = [job_summary(job, provider_of_job(self._plane, job)) for job in page.rows]
        return job_lists_pb2.ListJobsResponse(total=page.total, limit=limit, offset=request.offset, jobs=found)

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        """Show one job."""
        job, spec = await readable_with_spec(self._plane, request.job_id)
        detail = shown(self._plane, job, spec)
        return pb.GetJobResponse(
            job=detail,
            **public_head(job),
            container_image=container_image(spec.container_spec),
            created_at=detail.submitted_at,
        )

    async def GetJobOutput(self, request: pb.GetJobOutputRequest, context: Any) -> HttpBody:
        """Answer with the job's output."""
        found = await self._readable_output(request.job_id)
        return await output_body(self._plane, found, current_call().metadata.get("accept", ""))

    async def ListJobLogs(self, request: pb.ListJobLogsRequest, context: Any) -> pb.ListJobLogsResponse:
        """List log lines."""
        limit = min(request.limit or 200, 1000)
        attempt = request.attempt if request.HasField("attempt") else None
        principal = current_call().principal

        def with_lines(conn: Connection) -> tuple[JobRow, Any]:
            job = readable(conn, request.job_id, principal)
            # One more than asked for tells whether there are more.
            page = job_logs.page(conn, job.id, since=request.since, limit=limit + 1, attempt_number=attempt)
            return job, page

        job, page = await self._plane.db.read_history(with_lines)
        return pb.ListJobLogsResponse(
            schema_version=SCHEMA_VERSION,
            job_id=job.job_id,
            status=job.status,
            logs=[log_line(row) for row in page.rows[:limit]],
            total_lines=page.total,
            has_more=len(page.rows) > limit,
            documents_erased_at=time_text(job.documents_erased_at_ms),
        )

    async def StreamJobLogs(self, request: pb.StreamJobLogsRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Stream log lines, and generated text where it is asked for."""
        job = await readable_job(self._plane, request.job_id)
        since = resume_point(request.since) or 0
        async with aclosing(follow(LogReader(self._plane, job.id, since, tokens=request.tokens))) as bodies:
            async for body in bodies:
                yield body

    async def ListJobLifecycle(self, request: pb.ListJobLifecycleRequest, context: Any) -> pb.ListJobLifecycleResponse:
        """List lifecycle events."""
        read = lifecycle_reader(request)
        principal = current_call().principal
        fields = await self._plane.db.read_history(lambda conn: read(conn, readable(conn, request.job_id, principal)))
        return pb.ListJobLifecycleResponse(**fields)
