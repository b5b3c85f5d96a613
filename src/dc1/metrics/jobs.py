"""Jobs as this server moves them: what another server on the same database does is in that one's figures."""

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

_WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)


class JobMetrics:
    """From submission to settlement. Every label has the values of an enumeration."""

    def __init__(self) -> None:
        self.submitted = Counter("dc1_jobs_submitted", "Jobs that were stored.", ["source"], registry=None)
        self.claims = Counter(
            "dc1_claims",
            "Waiting jobs that were claimed for a machine, and claims that the database refused.",
            ["outcome"],
            registry=None,
        )
        self.offers = Counter("dc1_offers", "Jobs that were offered to a machine.", registry=None)
        self.offers_ended = Counter(
            "dc1_offers_ended", "Offers that were accepted, or went back to the queue.", ["outcome"], registry=None
        )
        self.wait_seconds = Histogram(
            "dc1_job_wait_seconds",
            "Time from a job's submission to the start of each of its runs.",
            ["source"],
            registry=None,
            buckets=_WAITS,
        )
        self.ended = Counter("dc1_jobs_ended", "Jobs that were settled.", ["source", "status"], registry=None)
        self.failed = Counter(
            "dc1_attempts_failed",
            "Runs that were lost or failed, by cause; provider_disconnect is a lease that its machine lost.",
            ["cause", "retried"],
            registry=None,
        )
        self.settled = Counter(
            "dc1_settled_halala",
            "Money that was settled, by where it went: provider, platform or refund.",
            ["share"],
            registry=None,
        )

    def started(self, source: str, waited_ms: int) -> None:
        """Note that an offer was accepted, so long after its job was submitted."""
        self.offers_ended.labels("accepted").inc()
        self.wait_seconds.labels(source).observe(max(0, waited_ms) / 1000)

    def shared(self, provider_halala: int, platform_halala: int, refund_halala: int) -> None:
        """Note where a job's hold went."""
        for share, halala in (("provider", provider_halala), ("platform", platform_halala), ("refund", refund_halala)):
            self.settled.labels(share).inc(halala)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return (
            self.submitted,
            self.claims,
            self.offers,
            self.offers_ended,
            self.wait_seconds,
            self.ended,
            self.failed,
            self.settled,
        )
