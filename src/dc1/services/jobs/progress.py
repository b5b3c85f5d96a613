"""How a job comes along, asked for once or followed live."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.money.pricing import halala_to_usd
from dc1.domain.providers.liveness import Liveness
from dc1.services.api.event_stream import follow, resume_point
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import to_value
from dc1.services.jobs.access import provider_of_job, readable_job
from dc1.services.jobs.lifecycle import LifecycleReader, StateReader
from dc1.services.jobs.messages import current_cost, elapsed_sec
from dcp.v1 import job_progress_pb2 as pb


class JobProgressCalls(ServicerPart):
    """Progress of jobs."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._sar_per_usd = parts.sar_per_usd

    async def GetJobStatus(self, request: pb.GetJobStatusRequest, context: Any) -> pb.GetJobStatusResponse:
        """Show in short how a job stands."""
        job = await readable_job(self._plane, request.job_id)
        provider = provider_of_job(self._plane, job)
        return pb.GetJobStatusResponse(
            job_id=job.job_id,
            status=job.status,
            progress_phase=to_value(job.progress_phase),
            # Known with the result: tokens that come live are counted nowhere.
            tokens_generated=job.completion_tokens or 0,
            elapsed_seconds=elapsed_sec(job, self._plane.clock.now_ms()) or 0,
            estimated_cost_usd=halala_to_usd(current_cost(job), self._sar_per_usd),
            provider_online=provider is not None and self._plane.fleet.presence.liveness(provider) is Liveness.ONLINE,
        )

    async def StreamJob(self, request: pb.StreamJobRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Stream the states of a job."""
        # Before the first frame, so that 404 and 403 are ordinary answers (contract 6.1).
        job = await readable_job(self._plane, request.job_id)
        since = resume_point(request.since_sequence if request.HasField("since_sequence") else None)
        async with aclosing(follow(StateReader(self._plane, job.id, since))) as bodies:
            async for body in bodies:
                yield body

    async def StreamJobLifecycle(self, request: pb.StreamJobLifecycleRequest, context: Any) -> AsyncIterator[HttpBody]:
        """Stream the lifecycle events of a job."""
        job = await readable_job(self._plane, request.job_id)
        async with aclosing(
            follow(LifecycleReader(self._plane, job.id, resume_point(request.since_sequence) or 0))
        ) as bodies:
            async for body in bodies:
                yield body
