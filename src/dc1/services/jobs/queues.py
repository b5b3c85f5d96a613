"""Jobs that are open, and what waits for a provider."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.access.roles import Role
from dc1.domain.jobs.queue_order import queue_key
from dc1.domain.jobs.states import JobStatus
from dc1.services.api.call import Principal, current_call
from dc1.services.api.live_stream import watch
from dc1.services.api.parts import ServicerPart
from dc1.services.api.provider_access import own_provider
from dc1.services.jobs.access import shown, store_shown_starts
from dc1.services.jobs.live_jobs import LiveJobs, audience_of
from dc1.services.jobs.messages import MOST_DOCUMENTS
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dcp.v1 import job_lists_pb2 as pb
from dcp.v1 import live_pb2

# An admin asks for the open jobs of everybody, and the route has no pages (contract 3.3).
_MOST_JOBS = 500


class JobQueueCalls(ServicerPart):
    """Open jobs."""

    async def ListActiveJobs(self, request: pb.ListActiveJobsRequest, context: Any) -> pb.ListActiveJobsResponse:
        """List the caller's open jobs."""
        principal = current_call().principal
        await store_shown_starts(self._plane)

        def read_open(conn: Connection) -> tuple[list[JobRow], dict[int, JobSpec]]:
            found = _open_jobs(conn, principal)
            return found, jobs.fitting_specs(conn, [job.id for job in found], max_characters=MOST_DOCUMENTS)

        found, specs = await self._plane.db.read(read_open)
        return pb.ListActiveJobsResponse(jobs=[shown(self._plane, job, specs.get(job.id)) for job in found])

    async def ListProviderQueue(
        self, request: pb.ListProviderQueueRequest, context: Any
    ) -> pb.ListProviderQueueResponse:
        """List the jobs that wait for a provider: those it holds a slot for, then those that name it."""
        provider_id = (await own_provider(self._plane, request.provider_id)).id
        # From memory: these are the tables that polls and placement go by.
        leases = [lease for lease in self._plane.leases.of_provider(provider_id) if not lease.running]
        leases.sort(key=lambda lease: queue_key(lease.assignment.job))
        queue = [pb.QueuedJob(job_id=lease.job_id, status=JobStatus.PENDING) for lease in leases]
        named = self._plane.dispatcher.queue.naming(provider_id)
        queue += [pb.QueuedJob(job_id=job.job_id, status=JobStatus.QUEUED) for job in named]
        return pb.ListProviderQueueResponse(queue=queue, total=len(queue))

    async def StreamJobs(self, request: live_pb2.StreamJobsRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Stream the caller's jobs as they move."""
        audience = audience_of(current_call().principal)
        # Watched before the database is read: what moves in between is told twice.
        with self._plane.job_watch.watching(audience) as watched:
            async with aclosing(
                watch(self._plane, LiveJobs(self._plane, audience, watched), once=request.once)
            ) as bodies:
                async for body in bodies:
                    yield body


def _open_jobs(conn: Connection, principal: Principal) -> list[JobRow]:
    """Return the caller's open jobs, newest first."""
    if principal.role is Role.PROVIDER:
        assert principal.account_id is not None
        # Those it holds; what names it and still waits is in its queue, `/jobs/queue/me`.
        return jobs.leased_by(conn, principal.account_id)[::-1]
    renter_id = principal.account_id if principal.role is Role.RENTER else None
    return jobs.open_jobs(conn, renter_id=renter_id, limit=_MOST_JOBS)
