"""Telemetry on its way to storage: folded by provider and minute, flushed for all providers at once."""

import asyncio
from contextlib import suppress

import structlog

from dc1.domain.base.clock import Clock
from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.telemetry import MINUTE_MS, RETENTION_MS, Period, Rollup, has_readings
from dc1.storage.engine.database import Connection, Database
from dc1.storage.providers import telemetry

log = structlog.get_logger(__name__)

_ROUND_SECONDS = 1.0


class Telemetry:
    """The minutes that are not stored yet."""

    def __init__(self) -> None:
        self._open: dict[int, dict[int, Rollup]] = {}
        self._flushing: dict[int, dict[int, Rollup]] = {}

    def fold(self, provider_id: int, gpu_status: JsonObject, at_ms: int) -> None:
        """Add what a daemon measured."""
        if has_readings(gpu_status):
            _rollup(self._open, at_ms - at_ms % MINUTE_MS, provider_id).fold(gpu_status)

    def take(self, before_ms: int) -> telemetry.Minutes:
        """Return the minutes that began before a time; they are taken again until `flushed` is called."""
        for minute_ms in [minute for minute in self._open if minute < before_ms]:
            for provider_id, rollup in self._open.pop(minute_ms).items():
                _rollup(self._flushing, minute_ms, provider_id).add(rollup)
        return self._flushing

    def flushed(self) -> None:
        """Forget what was taken: it is stored."""
        self._flushing = {}

    def of(self, provider_id: int, period: Period, now_ms: int) -> dict[int, Rollup]:
        """Return a provider's share of the spans of a period that ends now, by their first millisecond."""
        spans: dict[int, Rollup] = {}
        for minutes in (self._flushing, self._open):
            for minute_ms, rollups in minutes.items():
                if minute_ms >= period.first_ms(now_ms) and provider_id in rollups:
                    spans.setdefault(period.start_of(minute_ms), Rollup()).add(rollups[provider_id])
        return spans


def _rollup(minutes: dict[int, dict[int, Rollup]], minute_ms: int, provider_id: int) -> Rollup:
    return minutes.setdefault(minute_ms, {}).setdefault(provider_id, Rollup())


class TelemetryUpkeep:
    """Stores each minute once it is over, and forgets those of more than a week ago."""

    def __init__(self, db: Database, clock: Clock, pending: Telemetry) -> None:
        self._db = db
        self._clock = clock
        self._pending = pending
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._running = asyncio.create_task(self._run(), name="telemetry")

    async def stop(self) -> None:
        """End, and store the minute that is not over yet too."""
        self._stopping.set()
        if self._running is not None:
            await self._running
        await self._flush(self._clock.now_ms() + MINUTE_MS)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            now_ms = self._clock.now_ms()
            try:
                await self._flush(now_ms - now_ms % MINUTE_MS)
            except Exception:
                # A timer that died would lose every minute to come; the next round tries again.
                log.exception("telemetry_not_stored")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _ROUND_SECONDS)

    async def _flush(self, before_ms: int) -> None:
        minutes = self._pending.take(before_ms)
        if not minutes:
            return
        oldest_ms = self._clock.now_ms() - RETENTION_MS

        def work(conn: Connection) -> None:
            telemetry.store(conn, minutes)
            telemetry.purge(conn, oldest_ms)

        await self._db.write(work)
        self._pending.flushed()
