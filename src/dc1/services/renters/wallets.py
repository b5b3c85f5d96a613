"""What a renter spent and on what."""

from collections.abc import Mapping
from typing import Any

from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import DAY_MS, day_start_ms, iso, month_start_ms, next_month_start_ms
from dc1.domain.jobs.states import JobStatus
from dc1.domain.money.pricing import halala_to_sar
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import row_id
from dc1.services.renters.messages import token_usage, wallet_entry
from dc1.storage.accounts import renters, wallets
from dc1.storage.accounts.wallets import Direction, WalletEntry
from dc1.storage.engine.database import Connection
from dc1.storage.engine.row_mapping import Page
from dc1.storage.jobs import jobs, spending
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.jobs.spending import Spend
from dcp.v1 import pagination_pb2
from dcp.v1 import renter_wallet_pb2 as pb

_MONTHS = 12
_DAYS = 30
_TOP_GPUS = 5
_USUAL_PERIOD = "30d"
_PERIOD_DAYS = {"7d": 7, "30d": 30, "90d": 90}


class WalletCalls(ServicerPart):
    """What renters see of their money."""

    async def ListRenterTransactions(
        self, request: pb.ListRenterTransactionsRequest, context: Any
    ) -> pb.ListRenterTransactionsResponse:
        """List the wallet entries of a renter, newest first."""
        principal = current_call().principal
        own_id = principal.account_id if principal.role is Role.RENTER else None
        renter_id = own_id if request.renter_id == "me" else None
        if renter_id is None:
            renter_id = row_id(request.renter_id, errors.renter_not_found)
        limit, offset, direction = wallet_window(request)

        def read_entries(conn: Connection) -> Page[WalletEntry]:
            if renters.get(conn, renter_id) is None:
                raise errors.renter_not_found()
            # 404 before 403, as on every route. An admin owns none and may read all.
            if own_id not in (None, renter_id):
                raise errors.forbidden()
            return wallets.entries(conn, renter_id, limit=limit, offset=offset, direction=direction)

        page = await self._plane.db.read_history(read_entries)
        return pb.ListRenterTransactionsResponse(
            entries=[wallet_entry(entry) for entry in page.rows], total=page.total, limit=limit, offset=offset
        )

    async def ListTokenUsage(self, request: pb.ListTokenUsageRequest, context: Any) -> pb.ListTokenUsageResponse:
        """List the caller's token-billed calls, newest first."""
        wanted = JobFilter(renter_id=caller_id(), source="v1", answered=True)
        # One row more than asked for tells whether there are more, without counting every call that was ever made.
        limit, offset = min(request.limit or 50, 200), request.offset
        row, calls = await self._plane.db.read_history(
            lambda conn: (
                renters.known(conn, wanted.renter_id or 0),
                jobs.latest(conn, wanted, limit=limit + 1, offset=offset),
            )
        )
        return pb.ListTokenUsageResponse(
            usage=[_token_call(job) for job in calls[:limit]],
            totals=token_usage(row),
            pagination=pagination_pb2.OffsetPagination(limit=limit, offset=offset, has_more=len(calls) > limit),
        )

    async def GetSpending(self, request: pb.GetSpendingRequest, context: Any) -> pb.GetSpendingResponse:
        """Show what the caller spent: altogether, by month and by day."""
        renter_id = caller_id()
        now_ms = self._plane.clock.now_ms()
        # Months and days are sums over the same rows by day, so one reading gives both.
        months = _last_months(now_ms)
        all_time, days = await self._plane.db.read_history(
            lambda conn: (spending.all_time(conn, renter_id), spending.by_day(conn, renter_id, months[0]))
        )
        return pb.GetSpendingResponse(
            all_time=pb.TotalSpend(
                total_jobs=all_time.jobs, total_halala=all_time.halala, total_sar=halala_to_sar(all_time.halala)
            ),
            monthly=[_month(month_ms, days) for month_ms in months],
            last_30_days=_daily(days, now_ms, _DAYS),
        )

    async def GetAnalytics(self, request: pb.GetAnalyticsRequest, context: Any) -> pb.GetAnalyticsResponse:
        """Show the caller's use over a period."""
        renter_id = caller_id()
        now_ms = self._plane.clock.now_ms()
        period = request.period or _USUAL_PERIOD
        count = _PERIOD_DAYS[period]
        since_ms = day_start_ms(now_ms) - (count - 1) * DAY_MS
        days, use = await self._plane.db.read_history(
            lambda conn: (
                spending.by_day(conn, renter_id, since_ms),
                spending.use(conn, renter_id, since_ms, _TOP_GPUS),
            )
        )
        return pb.GetAnalyticsResponse(
            period=period,
            daily_spend=_daily(days, now_ms, count),
            status_counts=[pb.StatusCount(status=status, count=n) for status, n in use.by_status.items()],
            avg_duration_minutes=round(use.mean_seconds / 60, 2),
            completed_job_count=use.by_status.get(JobStatus.COMPLETED, 0),
            top_gpus=[pb.GpuUsage(gpu_model=gpu.gpu_model, jobs=gpu.jobs, total_halala=gpu.halala) for gpu in use.gpus],
        )


def wallet_window(request: Any) -> tuple[int, int, Direction | None]:
    """Return limit, offset and direction of a request for wallet entries."""
    direction = Direction(request.direction) if request.HasField("direction") else None
    # Above the maximum is lowered and not refused, on every list.
    return min(request.limit or 20, 100), request.offset, direction


def _token_call(job: JobRow) -> pb.TokenCall:
    return pb.TokenCall(
        job_id=job.job_id,
        model=job.model or "",
        prompt_tokens=job.prompt_tokens or 0,
        completion_tokens=job.completion_tokens or 0,
        cost_halala=job.actual_cost_halala or 0,
        created_at=iso(job.submitted_at_ms),
    )


def _last_months(now_ms: int) -> list[int]:
    """Return the first milliseconds of this UTC month and of those before it, oldest first."""
    months = [month_start_ms(now_ms)]
    while len(months) < _MONTHS:
        # The millisecond before a month lies in the month before it, however long that is.
        months.insert(0, month_start_ms(months[0] - 1))
    return months


def _month(month_ms: int, days: Mapping[int, Spend]) -> pb.MonthlySpend:
    end_ms = next_month_start_ms(month_ms)
    spent = sum((spend for day_ms, spend in days.items() if month_ms <= day_ms < end_ms), Spend())
    return pb.MonthlySpend(
        month=iso(month_ms)[:7], jobs=spent.jobs, total_halala=spent.halala, total_sar=halala_to_sar(spent.halala)
    )


def _daily(days: Mapping[int, Spend], now_ms: int, count: int) -> list[pb.DailySpend]:
    """Return the last UTC days, oldest first, those without a charge included."""
    # Also days without a charge: whoever draws them must not have to fill gaps.
    today_ms = day_start_ms(now_ms)
    return [_day(today_ms - back * DAY_MS, days) for back in reversed(range(count))]


def _day(day_ms: int, days: Mapping[int, Spend]) -> pb.DailySpend:
    spent = days.get(day_ms, Spend())
    return pb.DailySpend(
        date=iso(day_ms)[:10], jobs=spent.jobs, total_halala=spent.halala, total_sar=halala_to_sar(spent.halala)
    )
