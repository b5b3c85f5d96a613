"""Keeps how large the market is, minute by minute, for the plots of its operators."""

from statistics import median

from dc1.control.fleet.fleet import Fleet
from dc1.control.operations.catalog import Catalog
from dc1.control.periodic import Periodic, in_turns
from dc1.domain.base.clock import DAY_MS, Clock
from dc1.domain.providers.telemetry import MINUTE_MS
from dc1.storage.admin import market_minutes
from dc1.storage.admin.market_minutes import MarketSpan
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.purging import forget_all
from dc1.storage.money import counters

_KEPT_MS = 31 * DAY_MS
_LOOK_SECONDS = 1.0


class MarketSampler:
    """Writes a row a minute, whichever of several servers comes first, and forgets those of more than a month ago."""

    def __init__(self, db: Database, clock: Clock, fleet: Fleet, catalog: Catalog) -> None:
        self._db = db
        self._clock = clock
        self._fleet = fleet
        self._catalog = catalog
        self._last_ms = 0
        # Looked at every second, as the market's clock is not the loop's: a test moves it by hand.
        self._periodic = Periodic((_LOOK_SECONDS, self.sample))

    async def start(self) -> None:
        """Begin."""
        self._periodic.start()

    async def stop(self) -> None:
        """End."""
        await self._periodic.stop()

    async def sample(self) -> None:
        """Keep how the market is now, if a minute has begun since the last time."""
        now_ms = self._clock.now_ms()
        minute_ms = now_ms - now_ms % MINUTE_MS
        if minute_ms == self._last_ms:
            return
        machines, online, prices = 0, self._fleet.lists.online(), []
        async for provider in in_turns(list(self._fleet)):
            machines += not provider.deleted
            if self._fleet.lists.is_available(provider):
                prices.append(self._catalog.hour_halala(provider))
        price = median(prices) if prices else None
        await self._db.write(lambda conn: market_minutes.note(conn, _market(conn, minute_ms, machines, online), price))
        self._last_ms = minute_ms
        await forget_all(self._db, lambda conn, limit: market_minutes.purge(conn, now_ms - _KEPT_MS, limit))


def _market(conn: Connection, minute_ms: int, machines: int, online: int) -> MarketSpan:
    totals = counters.read(conn)
    return MarketSpan(
        at_ms=minute_ms,
        machines=machines,
        online=online,
        queued=totals.jobs_queued + totals.jobs_pending,
        running=totals.jobs_running,
        jobs_completed=totals.jobs_completed,
        jobs_failed=totals.jobs_failed,
        charged_halala=totals.charged_halala,
    )
