"""The numbers that tell whether the market works, for `GET /admin/metrics` and for Prometheus alike."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import DAY_MS, day_start_ms, month_start_ms, week_start_ms
from dc1.domain.providers.alerts import lately
from dc1.domain.providers.liveness import Channel, Liveness, ProviderStatus
from dc1.storage.admin import monitoring
from dc1.storage.admin.monitoring import HOUR_MS
from dc1.storage.engine.database import Connection
from dc1.storage.money import counters
from dc1.storage.money.counters import Totals

_AT_ONCE = 500
_THERE = (ProviderStatus.ONLINE, ProviderStatus.DEGRADED)


@dataclass(frozen=True, slots=True)
class MarketFigures:
    """What the database knows of the market's state."""

    always: Totals
    days: list[tuple[int, Totals]]
    failed_last_hour: int
    mean_wait_seconds: float
    active_renters: int
    size_bytes: int

    @classmethod
    def read(cls, conn: Connection, now_ms: int) -> Self:
        """Read them: counters that are kept, and what an index counts."""
        return cls(
            always=counters.read(conn),
            # The week may begin in the month before, and the month before the week.
            days=counters.read_days(conn, min(week_start_ms(now_ms), month_start_ms(now_ms))),
            failed_last_hour=monitoring.failed_since(conn, now_ms - HOUR_MS),
            mean_wait_seconds=monitoring.mean_wait_seconds(conn, now_ms),
            active_renters=monitoring.renters_active_since(conn, now_ms - DAY_MS),
            size_bytes=monitoring.size_bytes(conn),
        )

    def charged_since(self, since_ms: int) -> int:
        """Return what was charged on the days from then on, in halala."""
        return sum(day.charged_halala for day_ms, day in self.days if day_ms >= since_ms)

    def charged_today(self, now_ms: int) -> int:
        """Return what was charged today, in halala."""
        return self.charged_since(day_start_ms(now_ms))


@dataclass(slots=True)
class FleetFigures:
    """How the machines stand; `silent` went without a word within a day, and `mean_age_seconds` is of who is there."""

    statuses: Counter[ProviderStatus] = field(default_factory=Counter)
    awaiting_approval: int = 0
    silent: int = 0
    mean_age_seconds: float = 0.0

    @classmethod
    async def count(cls, fleet: Fleet, now_ms: int) -> Self:
        """Count them, and let others' calls go first now and then: a large fleet takes a while."""
        figures = cls()
        seconds = 0
        for number, provider in enumerate(list(fleet)):
            status = provider.status(now_ms, fleet.thresholds)
            figures.statuses[status] += 1
            figures.awaiting_approval += provider.awaits_approval
            figures.silent += _is_silent(provider, fleet, now_ms)
            # The age of who left long ago would drown that of who is there.
            seconds += (provider.presence.age_seconds(now_ms) or 0) if status in _THERE else 0
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        there = sum(figures.statuses[status] for status in _THERE)
        figures.mean_age_seconds = seconds / there if there else 0.0
        return figures


def _is_silent(provider: Provider, fleet: Fleet, now_ms: int) -> bool:
    """Tell whether a machine that may work is gone and has not said so; after a day that is no news any more."""
    presence = provider.presence
    if presence.stream_open or presence.signed_off or provider.suspended or provider.awaits_approval:
        return False
    if lately(presence.last_heartbeat_ms, now_ms) is None:
        return False
    return presence.channel is Channel.STREAM or provider.liveness(now_ms, fleet.thresholds) is Liveness.OFFLINE
