"""What a renter's keys used of models under /v1, by day."""

from collections.abc import Sequence
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.domain.base.clock import DAY_MS, day_start_ms, iso
from dc1.domain.base.json_types import JsonValue
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.csv_files import csv_file
from dc1.services.api.parts import ServicerPart
from dc1.storage.jobs import spending
from dc1.storage.jobs.spending import DailyUsage, UsageFilter
from dcp.v1 import pagination_pb2
from dcp.v1 import renter_wallet_pb2 as pb

_MASTER = "master"
_USUAL_DAYS = 30
_MOST_ROWS = 10_000
_COLUMNS = (
    "day",
    "key_id",
    "model",
    "calls",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_halala",
)


class UsageCalls(ServicerPart):
    """Renters looking at what their keys used."""

    async def ListDailyUsage(self, request: pb.ListDailyUsageRequest, context: Any) -> pb.ListDailyUsageResponse:
        """List what each key used of each model on each day, newest first."""
        wanted = self._wanted(request)
        limit, offset = min(request.limit or 100, 1000), request.offset
        # One row more than asked for tells whether there are more.
        rows = await self._plane.db.read_history(
            lambda conn: spending.daily_usage(conn, wanted, limit=limit + 1, offset=offset)
        )
        return pb.ListDailyUsageResponse(
            usage=[pb.DailyUsage(**dict(zip(_COLUMNS, _cells(row), strict=True))) for row in rows[:limit]],
            pagination=pagination_pb2.OffsetPagination(limit=limit, offset=offset, has_more=len(rows) > limit),
        )

    async def ExportDailyUsage(self, request: pb.ExportDailyUsageRequest, context: Any) -> HttpBody:
        """Send the same as a table."""
        wanted = self._wanted(request)
        rows = await self._plane.db.read_history(lambda conn: spending.daily_usage(conn, wanted, limit=_MOST_ROWS))
        current_call().headers["content-disposition"] = 'attachment; filename="usage.csv"'
        return HttpBody(content_type="text/csv; charset=utf-8", data=csv_file(_COLUMNS, map(_cells, rows)))

    def _wanted(self, request: pb.ListDailyUsageRequest | pb.ExportDailyUsageRequest) -> UsageFilter:
        since_ms = day_start_ms(self._plane.clock.now_ms()) - ((request.days or _USUAL_DAYS) - 1) * DAY_MS
        key_id = request.key_id or None
        return UsageFilter(caller_id(), since_ms, "" if key_id == _MASTER else key_id, request.model or None)


def _cells(row: DailyUsage) -> Sequence[Any]:
    counts: list[JsonValue] = [row.calls, row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.halala]
    return [iso(row.day_ms)[:10], row.key_id or _MASTER, row.model, *counts]
