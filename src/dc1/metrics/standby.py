"""Who answers lists and history: the standby that they are meant for, or the primary in its place."""

from prometheus_client import Counter, Gauge
from prometheus_client.metrics import MetricWrapperBase


class StandbyMetrics:
    """What a standby is of use for."""

    def __init__(self) -> None:
        self.reads = Counter(
            "dc1_database_standby_reads_total",
            "Reads of lists and history, by who answered them, and why where that was not the standby.",
            ["answered_by", "reason"],
            registry=None,
        )
        self.lag_seconds = Gauge(
            "dc1_database_standby_lag_seconds",
            "How old what the standby knows may be, by a look a second.",
            registry=None,
        )
        self.is_usable = Gauge(
            "dc1_database_standby_usable",
            "1 while the standby is asked, 0 while the primary is in its place, or there is none.",
            registry=None,
        )
        self._by_standby = self.reads.labels("standby", "")

    def answered(self) -> None:
        """Note a read that the standby answered."""
        self._by_standby.inc()

    def passed_on(self, reason: str) -> None:
        """Note a read that the primary has to answer."""
        self.reads.labels("primary", reason).inc()

    def looked(self, lag_seconds: float, is_usable: bool) -> None:
        """Note what a look found."""
        self.lag_seconds.set(lag_seconds)
        self.is_usable.set(is_usable)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return self.reads, self.lag_seconds, self.is_usable
