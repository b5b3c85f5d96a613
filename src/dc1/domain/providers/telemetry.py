"""A provider's telemetry by the minute: sums, from which means over any span are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dc1.domain.base.json_types import JsonObject

MINUTE_MS = 60_000
RETENTION_MS = 7 * 24 * 60 * MINUTE_MS

METRICS = ("gpu_util_pct", "temp_c", "power_w", "free_vram_mib")
"""The metrics that are kept, by their names in a heartbeat's `gpu_status`."""


@dataclass(frozen=True, slots=True)
class Period:
    """How far back to look, and the span that each point stands for."""

    length_ms: int
    span_ms: int

    def first_ms(self, now_ms: int) -> int:
        """Return the start of the oldest span of the period that ends at `now_ms`, which it may cover in part only."""
        return self.start_of(now_ms - self.length_ms)

    def start_of(self, at_ms: int) -> int:
        """Return the start of the span that `at_ms` is in."""
        return at_ms - at_ms % self.span_ms


PERIODS: Mapping[str, Period] = {
    "1h": Period(60 * MINUTE_MS, MINUTE_MS),
    "6h": Period(6 * 60 * MINUTE_MS, 5 * MINUTE_MS),
    "24h": Period(24 * 60 * MINUTE_MS, 15 * MINUTE_MS),
    "7d": Period(RETENTION_MS, 120 * MINUTE_MS),
}

MINUTES = Period(RETENTION_MS, MINUTE_MS)
"""Everything that is kept, minute by minute."""


def has_readings(gpu_status: JsonObject) -> bool:
    """Tell whether a report says anything that is kept."""
    return any(gpu_status.get(metric) is not None for metric in METRICS)


@dataclass(slots=True)
class Rollup:
    """The sum and the number of the readings of each metric, in the order of `METRICS`."""

    sums: list[float] = field(default_factory=lambda: [0.0] * len(METRICS))
    counts: list[int] = field(default_factory=lambda: [0] * len(METRICS))

    def fold(self, gpu_status: JsonObject) -> None:
        """Add the readings of one report, whose metrics are in range or null."""
        for index, metric in enumerate(METRICS):
            # Sums and counts, not means: only those can be added up over any span.
            value = gpu_status.get(metric)
            if isinstance(value, int | float):
                self.sums[index] += value
                self.counts[index] += 1

    def add(self, other: "Rollup") -> None:
        """Add the readings of another rollup."""
        for index in range(len(METRICS)):
            self.sums[index] += other.sums[index]
            self.counts[index] += other.counts[index]

    def means(self) -> dict[str, float | None]:
        """Return the mean of each metric, rounded to two decimals, None for one without a reading."""
        return {
            metric: round(total / count, 2) if count else None
            for metric, total, count in zip(METRICS, self.sums, self.counts, strict=True)
        }
