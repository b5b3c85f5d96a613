"""Runs as the daemon that does them sees them."""

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

_SECONDS = (0.25, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)


class RunMetrics:
    """How runs end, and how long they take."""

    def __init__(self) -> None:
        self.total = Counter(
            "dc1_daemon_runs", "Runs that ended here: completed, or why they failed.", ["outcome"], registry=None
        )
        self.seconds = Histogram("dc1_daemon_run_seconds", "How long runs took.", registry=None, buckets=_SECONDS)

    def ended(self, outcome: str, seconds: float) -> None:
        """Count a run; `outcome` is `completed` or a category of errors."""
        self.total.labels(outcome).inc()
        self.seconds.observe(seconds)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return self.total, self.seconds
