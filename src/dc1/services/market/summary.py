"""The market at a glance, as anybody may see it."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import DAY_MS, day_start_ms, iso
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.api.call import current_call
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import to_value
from dc1.storage.admin import market_minutes
from dc1.storage.money import counters
from dc1.storage.money.counters import Totals
from dcp.v1 import market_service_pb2 as pb

_DAYS = 30
# Anybody may ask, and the fleet is walked for the answer.
_KEPT_MS = 15_000
_CACHING = f"public, max-age={_KEPT_MS // 1000}"


class SummaryCalls(ServicerPart):
    """What a first page shows."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._kept: pb.GetMarketSummaryResponse | None = None
        self._kept_until_ms = 0
        self._reading = asyncio.Lock()

    async def GetMarketSummary(self, request: pb.GetMarketSummaryRequest, context: Any) -> pb.GetMarketSummaryResponse:
        """Show the market at a glance."""
        current_call().headers["cache-control"] = _CACHING
        # One walk, however many ask at once.
        async with self._reading:
            now_ms = self._plane.clock.now_ms()
            if self._kept is None or now_ms >= self._kept_until_ms:
                self._kept, self._kept_until_ms = await self._summary(now_ms), now_ms + _KEPT_MS
            return self._kept

    async def _summary(self, now_ms: int) -> pb.GetMarketSummaryResponse:
        first_ms = day_start_ms(now_ms) - (_DAYS - 1) * DAY_MS
        always, days, prices = await self._plane.db.read(
            lambda conn: (
                counters.read(conn),
                dict(counters.read_days(conn, first_ms)),
                market_minutes.daily_prices(conn, first_ms),
            )
        )
        machines = self._plane.fleet.lists.available()
        by_type: defaultdict[str, list[Provider]] = defaultdict(list)
        for machine in machines:
            by_type[machine.gpu_name or ""].append(machine)
        most_first = sorted(by_type.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        return pb.GetMarketSummaryResponse(
            machines=len(machines),
            machines_free=self._free(machines),
            median_price_per_hour_sar=self._median_price(machines),
            jobs_queued=always.jobs_queued + always.jobs_pending,
            jobs_running=always.jobs_running,
            gpu_types=[self._gpu_type(name, found) for name, found in most_first],
            days=[
                pb.MarketDay(
                    date=iso(day_ms)[:10],
                    jobs=days.get(day_ms, Totals()).jobs_completed,
                    median_price_per_hour_sar=to_value(_sar(prices.get(day_ms))),
                )
                for day_ms in range(first_ms, day_start_ms(now_ms) + DAY_MS, DAY_MS)
            ],
            timestamp=iso(now_ms),
        )

    def _gpu_type(self, name: str, machines: Sequence[Provider]) -> pb.MarketGpuType:
        return pb.MarketGpuType(
            gpu_type=name,
            machines=len(machines),
            machines_free=self._free(machines),
            gpus=sum(machine.gpu_count for machine in machines),
            median_price_per_hour_sar=self._median_price(machines),
        )

    def _free(self, machines: Sequence[Provider]) -> int:
        return sum(machine.occupied < machine.slots and not machine.draining for machine in machines)

    def _median_price(self, machines: Sequence[Provider]) -> float:
        return halala_to_sar(round(self._plane.catalog.median_hour_halala(machines) or 0))


def _sar(halala: float | None) -> float | None:
    return None if halala is None else halala_to_sar(round(halala))
