"""A renter's jobs, page by page and as a table."""

from collections.abc import Sequence
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.clock import iso, time_text
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import plain
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.csv_files import csv_file
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import time_value, to_value
from dc1.services.jobs.access import statuses_of, store_shown_starts
from dc1.services.jobs.messages import container_image, current_cost, shown_provider_id
from dc1.storage.engine.database import Connection
from dc1.storage.engine.row_mapping import Page
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import renter_pb2
from dcp.v1 import renter_service_pb2 as pb

_MOST_JOBS = 100
_MOST_ROWS = 1000
_COLUMNS = (
    "job_id",
    "job_type",
    "model",
    "status",
    "provider_id",
    "submitted_at",
    "started_at",
    "completed_at",
    "duration_minutes",
    "cost_halala",
    "actual_cost_halala",
    "refunded_halala",
    "prompt_tokens",
    "completion_tokens",
    "error",
)


class RenterJobCalls(ServicerPart):
    """Lists of the caller's jobs."""

    async def ListRenterJobs(self, request: pb.ListRenterJobsRequest, context: Any) -> pb.ListRenterJobsResponse:
        """List the caller's jobs by page."""
        pages = Pages.asked(request, usual=20, most=_MOST_JOBS)
        wanted = JobFilter(renter_id=caller_id(), statuses=statuses_of(request.status))
        await store_shown_starts(self._plane)

        def read_page(conn: Connection) -> tuple[Page[JobRow], dict[int, Any]]:
            page = jobs.page(conn, wanted, limit=pages.limit, offset=pages.offset)
            # Of all documents only these: the others of a page may be a hundred MiB.
            return page, jobs.container_specs(conn, [job.id for job in page.rows])

        page, specs = await self._plane.db.read_history(read_page)
        return pb.ListRenterJobsResponse(
            jobs=[_renter_job(job, specs[job.id]) for job in page.rows],
            total=page.total,
            page=pages.page,
            limit=pages.limit,
            pages=pages.of(page.total).pages,
        )

    async def ExportJobs(self, request: pb.ExportJobsRequest, context: Any) -> HttpBody:
        """Send the caller's newest jobs as a table."""
        wanted = JobFilter(renter_id=caller_id())
        rows = await self._plane.db.read_history(lambda conn: jobs.latest(conn, wanted, limit=_MOST_ROWS))
        current_call().headers["content-disposition"] = 'attachment; filename="jobs.csv"'
        return HttpBody(content_type="text/csv; charset=utf-8", data=csv_file(_COLUMNS, [_row(job) for job in rows]))


def _renter_job(job: JobRow, container_spec: JsonObject) -> renter_pb2.RenterJob:
    return renter_pb2.RenterJob(
        id=job.job_id,
        job_id=job.job_id,
        job_type=job.job_type,
        provider_id=to_value(shown_provider_id(job)),
        container_image=container_image(container_spec),
        status=job.status,
        created_at=iso(job.submitted_at_ms),
        started_at=time_value(job.started_at_ms),
        completed_at=time_value(job.completed_at_ms),
        cost_halala=current_cost(job),
        input_tokens=job.prompt_tokens or 0,
        output_tokens=job.completion_tokens or 0,
    )


def _row(job: JobRow) -> Sequence[JsonValue]:
    """Return the values of the columns, in their order."""
    return (
        job.job_id,
        job.job_type,
        job.model,
        job.status,
        shown_provider_id(job),
        iso(job.submitted_at_ms),
        time_text(job.started_at_ms),
        time_text(job.completed_at_ms),
        None if job.duration_minutes is None else plain(job.duration_minutes),
        job.cost_halala,
        job.actual_cost_halala,
        job.refunded_halala,
        job.prompt_tokens,
        job.completion_tokens,
        job.error,
    )
