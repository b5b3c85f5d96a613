"""What this server did with jobs, told to its metrics: moves that it only hears of are another server's to count."""

from collections.abc import Iterable

from dc1.domain.inference.relayed_pace import RelayedPace
from dc1.domain.jobs.states import JobSource, JobStatus
from dc1.metrics.inference import InferenceMetrics
from dc1.metrics.jobs import JobMetrics
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.job_transitions import Transition


class RunCounts:
    """Counts by enumerations, and calls by model and provider as far as those have a bound."""

    def __init__(self) -> None:
        self.jobs = JobMetrics()
        self.inference = InferenceMetrics()

    def submitted(self, job: JobRow) -> None:
        """Count a job that was stored."""
        self.jobs.submitted.labels(job.source).inc()

    def claimed(self, results: Iterable[object | None]) -> None:
        """Count claims, of which those with None were refused."""
        for result in results:
            self.jobs.claims.labels("refused" if result is None else "taken").inc()

    def offered(self) -> None:
        """Count a job that was offered."""
        self.jobs.offers.inc()

    def returned(self) -> None:
        """Count an offer that nobody took."""
        self.jobs.offers_ended.labels("returned").inc()

    def started(self, job: JobRow, now_ms: int) -> None:
        """Count a run that begins now."""
        self.jobs.started(job.source, now_ms - job.submitted_at_ms)

    def paced(self, model: str, pace: RelayedPace) -> None:
        """Note how fast a call was answered on a stream that is here."""
        self.inference.paced(model, pace.ttft_ms, pace.tokens_per_second)

    def ended(self, moved: Transition, provider_id: int | None) -> None:
        """Count the end of a run with `provider_id`, or of a wait with None, and of the job if it was its last."""
        job = moved.job
        if provider_id is not None and job.status in (JobStatus.QUEUED, JobStatus.FAILED):
            retried = job.status is JobStatus.QUEUED
            cause = moved.cause if retried else job.error_category
            self.jobs.failed.labels(cause or "unknown", str(retried).lower()).inc()
        if not job.is_terminal:
            return
        self.jobs.ended.labels(job.source, job.status).inc()
        self.jobs.shared(job.provider_earned_halala or 0, job.dc1_fee_halala or 0, job.refunded_halala or 0)
        if job.source is JobSource.V1:
            tokens = job.prompt_tokens or 0, job.completion_tokens or 0
            self.inference.ended((job.model or "").lower(), provider_id, job.status, *tokens)
