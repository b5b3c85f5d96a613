"""Watches whose runs are called the renters' fault, and whose are over in no time.

The rules are `dc1.domain.providers.fault_outliers` and `dc1.domain.providers.short_runs`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from dc1.control.fleet.fleet import Fleet
from dc1.control.periodic import every
from dc1.control.probing.prober import Prober
from dc1.domain.base.clock import DAY_MS, Clock, day_start_ms
from dc1.domain.errors import ApiError
from dc1.domain.providers.fault_outliers import Runs, outliers
from dc1.domain.providers.short_runs import RunTimes, too_short
from dc1.storage.admin import monitoring
from dc1.storage.engine.database import Database

LOOK_SECONDS = 300.0
_KEPT_DAYS = 7
_SETTLED_MS = 60_000
"""Before this long another server may still commit what has ended earlier."""

_ROWS = 5_000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Counted:
    """Of one kind of work at one provider."""

    runs: Runs = field(default_factory=Runs)
    times: RunTimes = field(default_factory=RunTimes)

    def forget(self, counted: "_Counted") -> None:
        self.runs.forget(counted.runs)
        self.times.forget(counted.times)


_Work = defaultdict[str, defaultdict[int, _Counted]]


def _judged(providers: Mapping[int, _Counted]) -> tuple[set[int], set[int]]:
    """Return who stands out, of those that did one kind of work: by renters' faults, and by being done in no time."""
    return (
        set(outliers({provider_id: counted.runs for provider_id, counted in providers.items()})),
        set(too_short({provider_id: counted.times for provider_id, counted in providers.items()})),
    )


def _no_work() -> _Work:
    return defaultdict(lambda: defaultdict(_Counted))


class FaultWatch:
    """Counts the ended runs of a week by what they ran, and knows the providers that stand out."""

    def __init__(self, db: Database, clock: Clock, fleet: Fleet, prober: Prober) -> None:
        self._db = db
        self._clock = clock
        self._fleet = fleet
        self._prober = prober
        # By day, so that a week's oldest can be forgotten, and the sum of them, which a look must not add up again.
        self._days: dict[int, _Work] = {}
        self._week: _Work = _no_work()
        self._read = 0, 0
        self._since_ms: dict[int, int] = {}
        self._short_since_ms: dict[int, int] = {}
        self._to_probe: set[int] = set()

    def since_ms(self, provider_id: int) -> int | None:
        """Return since when a provider stands out by its renters' faults, None where it does not."""
        return self._since_ms.get(provider_id)

    def short_since_ms(self, provider_id: int) -> int | None:
        """Return since when a provider's runs are over in no time, None where they are not."""
        return self._short_since_ms.get(provider_id)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await every(LOOK_SECONDS, self.look)

    async def look(self) -> None:
        """Read what has ended since the last look, and judge."""
        now_ms = self._clock.now_ms()
        first_day = day_start_ms(now_ms) - (_KEPT_DAYS - 1) * DAY_MS
        for day in [day for day in self._days if day < first_day]:
            self._forget(self._days.pop(day))
        await self._read_ended(first_day, now_ms - _SETTLED_MS)
        found: set[int] = set()
        short: set[int] = set()
        for providers in list(self._week.values()):
            # On a thread, as what a thousand machines do takes seconds to judge; nothing is counted meanwhile.
            faulty, quick = await asyncio.to_thread(_judged, providers)
            found |= faulty
            short |= quick
        self._since_ms = self._noted("faults", found, self._since_ms, now_ms)
        self._short_since_ms = self._noted("times", short, self._short_since_ms, now_ms)
        self._probe()

    async def _read_ended(self, since_ms: int, until_ms: int) -> None:
        self._read = max(self._read, (since_ms, 0))
        more = True
        while more:
            rows = await self._db.read(lambda conn: monitoring.ended_runs(conn, self._read, until_ms, _ROWS))
            for row in rows:
                for work in (self._days.setdefault(day_start_ms(row.ended_ms), _no_work()), self._week):
                    counted = work[row.what][row.provider_id]
                    counted.runs.add(row.renter_id, 1, row.is_renters_fault)
                    if row.took_ms is not None:
                        counted.times.add(row.renter_id, row.took_ms)
                # Of each row: where the next page fails, none is counted twice.
                self._read = row.ended_ms, row.job_id
            more = len(rows) == _ROWS
            if not more:
                self._read = max(self._read, (until_ms + 1, 0))

    def _forget(self, work: _Work) -> None:
        for what, providers in work.items():
            kept = self._week[what]
            for provider_id, counted in providers.items():
                kept[provider_id].forget(counted)
                if not kept[provider_id].runs.ended:
                    del kept[provider_id]
            if not kept:
                del self._week[what]

    def _noted(self, by: str, found: set[int], since_ms: Mapping[int, int], now_ms: int) -> dict[int, int]:
        for provider_id in found - since_ms.keys():
            log.warning("provider_stands_out", provider_id=provider_id, by=by)
            self._to_probe.add(provider_id)
        return {provider_id: since_ms.get(provider_id, now_ms) for provider_id in found}

    def _probe(self) -> None:
        for provider_id in list(self._to_probe):
            provider = self._fleet.get(provider_id)
            # Busy, or connected to another server: asked again with the next look.
            with suppress(ApiError):
                if provider is not None:
                    self._prober.ask(provider)
                self._to_probe.discard(provider_id)
