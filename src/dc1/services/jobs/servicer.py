"""JobService, put together."""

from dc1.services.jobs.commands import JobCommandCalls
from dc1.services.jobs.history import JobHistoryCalls
from dc1.services.jobs.outcomes import JobOutcomeCalls
from dc1.services.jobs.progress import JobProgressCalls
from dc1.services.jobs.queues import JobQueueCalls
from dc1.services.jobs.reading import JobReadingCalls
from dcp.v1.job_service_pb2_grpc import JobServiceServicer


class JobServicer(
    JobCommandCalls,
    JobReadingCalls,
    JobHistoryCalls,
    JobQueueCalls,
    JobProgressCalls,
    JobOutcomeCalls,
    JobServiceServicer,
):
    """Jobs, for those who order and watch them."""
