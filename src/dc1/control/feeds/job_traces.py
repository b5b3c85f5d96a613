"""Which trace a job belongs to, until it is given to a machine: that may be long after its submission was answered."""

from dc1 import tracing
from dc1.storage.jobs.job_records import JobRow

_MOST_JOBS = 10_000
"""Jobs that are remembered, those submitted last: no trace is worth more memory than the queue itself."""


class JobTraces:
    """Belongs to one server: of a job that another one gives out, the trace ends with its submission."""

    def __init__(self) -> None:
        self._traceparents: dict[int, str] = {}

    def note(self, job: JobRow) -> None:
        """Note that a job was submitted in the trace that is around."""
        tracing.annotate(dc1__job__id=job.job_id)
        if current := tracing.traceparent():
            self._traceparents[job.id] = current
            if len(self._traceparents) > _MOST_JOBS:
                del self._traceparents[next(iter(self._traceparents))]

    def dispatched(self, job: JobRow) -> str:
        """Return the `traceparent` under which a job is given out now, empty for one of no trace."""
        around = self._traceparents.get(job.id, "")
        if not around:
            return ""
        with tracing.span(
            "dispatch", "producer", around, dc1__job__id=job.job_id, dc1__provider__id=job.provider_id or 0
        ):
            return tracing.traceparent()
