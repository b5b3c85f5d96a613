"""How long this process keeps others waiting: its database, its event loop, and what daemons' beats show of it."""

import asyncio
from collections.abc import Callable

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from dc1.metrics.standby import StandbyMetrics

_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_GROUPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BEATS = (1.0, 2.5, 4.0, 5.5, 7.0, 10.0, 15.0, 30.0, 60.0, 120.0)
_LOOK_SECONDS = 0.25


class DatabaseMetrics:
    """Units of work: how long they wait for their turn, how long they take, and how many share a commit."""

    def __init__(self) -> None:
        self.wait_seconds = Histogram(
            "dc1_database_wait_seconds",
            "Time that units of work waited for their turn.",
            ["kind"],
            registry=None,
            buckets=_SHORT,
        )
        self.unit_seconds = Histogram(
            "dc1_database_unit_seconds",
            "Time from a unit of work's turn until it was durable, or read.",
            ["kind"],
            registry=None,
            buckets=_SHORT,
        )
        self.group_units = Histogram(
            "dc1_database_group_units", "Units of work that shared a commit of SQLite.", registry=None, buckets=_GROUPS
        )
        self.standby = StandbyMetrics()
        # Found once: with every unit of work it would take longer than measuring it.
        self._timers = {
            kind: (self.wait_seconds.labels(kind), self.unit_seconds.labels(kind))
            for kind in ("read", "write", "history")
        }

    def took(self, kind: str, wait_seconds: float, unit_seconds: float) -> None:
        """Note a unit of work that ended; `kind` is `read`, `write` or `history`."""
        wait, unit = self._timers[kind]
        wait.observe(wait_seconds)
        unit.observe(unit_seconds)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return self.wait_seconds, self.unit_seconds, self.group_units, *self.standby.all()


class BeatMetrics:
    """How regularly machines are heard."""

    def __init__(self) -> None:
        self.interval_seconds = Histogram(
            "dc1_beat_interval_seconds",
            "Time between two beats of a machine; how much of it is delay shows against the interval that is asked for.",
            ["channel"],
            registry=None,
            buckets=_BEATS,
        )
        self._timers = {channel: self.interval_seconds.labels(channel) for channel in ("stream", "post")}

    def heard(self, channel: str, since_ms: int | None, now_ms: int) -> None:
        """Note a beat; `since_ms` is when the machine was heard before, None for never."""
        if since_ms is not None:
            self._timers[channel].observe(max(0, now_ms - since_ms) / 1000)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return (self.interval_seconds,)


class LoopMetrics:
    """How much later than due the event loop comes to what is due: every call waits as long."""

    def __init__(self) -> None:
        self.delay_seconds = Histogram(
            "dc1_event_loop_delay_seconds",
            "How much later than due a timer of the event loop was served, four times a second.",
            registry=None,
            buckets=_SHORT,
        )

    async def watch(self, told: Callable[[float], None]) -> None:
        """Measure until cancelled; `told` hears each delay in seconds."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            delay = max(0.0, loop.time() - due)
            self.delay_seconds.observe(delay)
            told(delay)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return (self.delay_seconds,)
