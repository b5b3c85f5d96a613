"""Calls that were answered or refused, by method and status."""

from functools import lru_cache

from prometheus_client import Counter, Histogram

# Methods are those of the protos and statuses those of the contract, so that no caller can add a series.
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_MOST_KINDS = 8_192


class CallMetrics:
    """How calls end, and how long those take that have one answer."""

    def __init__(self) -> None:
        self.total = Counter("dc1_calls", "Calls that ended, by HTTP status.", ["method", "code"], registry=None)
        self.seconds = Histogram(
            "dc1_call_seconds",
            "Time from a call's arrival to its one answer; streams have none.",
            ["method"],
            registry=None,
            buckets=_BUCKETS,
        )
        # What finds a series again by its labels takes longer than counting.
        self._counter = lru_cache(_MOST_KINDS)(self.total.labels)
        self._timer = lru_cache(_MOST_KINDS)(self.seconds.labels)

    def ended(self, method: str, code: int, seconds: float | None = None) -> None:
        """Count a call of `Service/Method`; `seconds` is None for a stream."""
        self._counter(method, code).inc()
        if seconds is not None:
            self._timer(method).observe(seconds)

    def all(self) -> tuple[Counter, Histogram]:
        """Return what Prometheus is told."""
        return self.total, self.seconds
