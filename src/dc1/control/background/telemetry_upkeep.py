"""Stores the telemetry that heartbeats brought, minute by minute, and forgets what is old."""

from functools import partial

from dc1.control.fleet.telemetry import Telemetry
from dc1.control.periodic import Periodic, WholeStep
from dc1.domain.base.clock import Clock
from dc1.domain.providers.telemetry import MINUTE_MS, RETENTION_MS
from dc1.storage.engine.database import Database
from dc1.storage.engine.purging import forget_all
from dc1.storage.providers import telemetry

_FLUSH_SECONDS = 1.0
_MOST_AT_ONCE = 500
"""Machines of one transaction: of a whole fleet it would hold up everybody else's for as long as a second."""


class TelemetryUpkeep:
    """Stores each minute once it is over, and forgets those of more than a week ago."""

    def __init__(self, db: Database, clock: Clock, pending: Telemetry) -> None:
        self._db = db
        self._clock = clock
        self._pending = pending
        self._stopping = False
        self._flush = WholeStep(self._store_minutes)
        self._periodic = Periodic((_FLUSH_SECONDS, self._flush))

    async def start(self) -> None:
        """Begin."""
        self._periodic.start()

    async def stop(self) -> None:
        """End, and store the minute that is not over yet too."""
        await self._periodic.stop()
        self._stopping = True
        await self._flush()

    async def _store_minutes(self) -> None:
        now_ms = self._clock.now_ms()
        # A minute that goes on would be stored again with each flush; only the last one cannot wait for its end.
        before_ms = now_ms + 1 if self._stopping else now_ms - now_ms % MINUTE_MS
        if not self._pending.take(before_ms, _MOST_AT_ONCE):
            return
        while minutes := self._pending.take(before_ms, _MOST_AT_ONCE):
            await self._db.write(partial(telemetry.store, minutes=minutes))
            self._pending.flushed()
        # Apart: what cannot be forgotten now must not have the new minutes stored, and counted, once more.
        old_ms = now_ms - RETENTION_MS
        await self._db.write(lambda conn: telemetry.tend(conn, now_ms, old_ms))
        await forget_all(self._db, lambda conn, limit: telemetry.purge(conn, old_ms, limit))
