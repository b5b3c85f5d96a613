"""The market's numbers, its revenue and the health of its fleet."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.control.background.market_figures import FleetFigures, MarketFigures
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import DAY_MS, day_start_ms, iso, month_start_ms, to_datetime, week_start_ms
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.providers.liveness import ProviderStatus
from dc1.domain.providers.reports import metric_of
from dc1.domain.providers.telemetry import MINUTE_MS, Period
from dc1.services.admin.live_alerts import AlertTexts, LiveAlerts, fleet_alert
from dc1.services.admin.live_queue import Charges, LiveQueue
from dc1.services.api.edge_refusals import EdgeCounts
from dc1.services.api.live_stream import watch
from dc1.services.api.paging import Pages
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.refusals import RefusalCount
from dc1.services.api.values import time_value, to_value
from dc1.storage.admin import market_minutes, monitoring
from dc1.storage.admin.market_minutes import MarketSpan
from dc1.storage.admin.monitoring import HOUR_MS, Failures
from dc1.storage.money import counters
from dc1.storage.money.counters import Totals
from dc1.storage.providers import daemon_events
from dc1.storage.providers.daemon_events import DaemonEventRow
from dcp.v1 import live_pb2
from dcp.v1 import monitoring_pb2 as pb

_NO_FAILURES = Failures(0, 0)
SERIES: Mapping[str, Period] = {
    "1h": Period(HOUR_MS, MINUTE_MS),
    "24h": Period(DAY_MS, 15 * MINUTE_MS),
    "30d": Period(30 * DAY_MS, 6 * HOUR_MS),
}
"""What the market's past is shown over, in as many points as a plot has room for."""

_DEFAULT_SERIES = "24h"
_REVENUE_DAYS = 30
_MOST_REVENUE_DAYS = 365
_HOURS = 24
_EVENTS_SHOWN = 500


class MonitoringCalls(ServicerPart):
    """Watching the market."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._refusals = parts.refusals
        self._edge_refusals = parts.edge_refusals
        self._open_streams = parts.open_streams
        self._charges = Charges(parts.plane)
        self._alert_texts = AlertTexts(parts.plane)
        # Servicers are built when the process starts, before it takes calls.
        self._started_ms = parts.plane.clock.now_ms()

    async def GetOverview(self, request: pb.GetOverviewRequest, context: Any) -> pb.GetOverviewResponse:
        """Show the market in eight numbers."""
        now_ms = self._plane.clock.now_ms()
        always, today = await self._plane.db.read(lambda conn: (counters.read(conn), counters.read_day(conn, now_ms)))
        return pb.GetOverviewResponse(
            providersRegistered=len(self._plane.fleet),
            providersOnline=self._plane.fleet.lists.online(),
            jobsQueued=always.jobs_queued + always.jobs_pending,
            jobsRunning=always.jobs_running,
            jobsCompleted=always.jobs_completed,
            revenueSARToday=halala_to_sar(today.charged_halala),
            revenueSARTotal=halala_to_sar(always.charged_halala),
            timestamp=iso(now_ms),
        )

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Any) -> pb.GetMetricsResponse:
        """Show the numbers that tell whether the market works."""
        edge = await self._edge_refusals.read()
        now_ms = self._plane.clock.now_ms()
        measured = await self._plane.db.read(lambda conn: MarketFigures.read(conn, now_ms))
        always = measured.always
        return pb.GetMetricsResponse(
            queue=pb.QueueMetrics(
                pending_jobs=always.jobs_queued + always.jobs_pending,
                running_jobs=always.jobs_running,
                failed_last_1h=measured.failed_last_hour,
                avg_wait_seconds=measured.mean_wait_seconds,
            ),
            providers=self._provider_metrics(await FleetFigures.count(self._plane.fleet, now_ms)),
            renters=pb.RenterMetrics(
                total_registered=always.renters,
                active_last_24h=measured.active_renters,
                total_balance_halala=always.wallets_halala,
            ),
            revenue=pb.RevenueMetrics(
                today_halala=measured.charged_today(now_ms),
                this_week_halala=measured.charged_since(week_start_ms(now_ms)),
                this_month_halala=measured.charged_since(month_start_ms(now_ms)),
            ),
            system=pb.SystemMetrics(
                uptime_seconds=(now_ms - self._started_ms) / 1000, db_size_bytes=measured.size_bytes
            ),
            refusals=_refusals(self._refusals),
            open_streams=[pb.OpenStreamCount(method=method, count=count) for method, count in self._open_streams],
            edge=_edge_metrics(edge),
        )

    def _provider_metrics(self, figures: FleetFigures) -> pb.ProviderMetrics:
        fleet = self._plane.fleet
        return pb.ProviderMetrics(
            online=fleet.lists.online(),
            active=len({lease.provider_id for lease in self._plane.leases if lease.running})
            + self._plane.replicas.busy_elsewhere(),
            registered=figures.statuses[ProviderStatus.REGISTERED],
            total_registered=len(fleet),
            pending_approval=figures.awaiting_approval,
            avg_heartbeat_age_seconds=figures.mean_age_seconds,
        )

    def StreamQueue(self, request: live_pb2.StreamQueueRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Stream the queue as it changes."""
        return watch(self._plane, LiveQueue(self._plane, self._charges), once=request.once)

    async def GetSeries(self, request: pb.GetSeriesRequest, context: Any) -> pb.GetSeriesResponse:
        """Show how the market has been over a period."""
        name = request.period or _DEFAULT_SERIES
        period = SERIES[name]
        first_ms = period.first_ms(self._plane.clock.now_ms())
        found = await self._plane.db.read_history(lambda conn: market_minutes.spans(conn, first_ms, period.span_ms))
        points = [_series_point(span) for span in found]
        return pb.GetSeriesResponse(period=name, span_seconds=period.span_ms // 1000, points=points)

    async def GetRevenue(self, request: pb.GetRevenueRequest, context: Any) -> pb.GetRevenueResponse:
        """Show what was charged over the last days."""
        days = min(request.days or _REVENUE_DAYS, _MOST_REVENUE_DAYS)
        today_ms = day_start_ms(self._plane.clock.now_ms())
        first_ms = today_ms - (days - 1) * DAY_MS
        known = dict(await self._plane.db.read_history(lambda conn: counters.read_days(conn, first_ms)))
        # A day without a charge has no row and counts as zero.
        every = [(day_ms, known.get(day_ms, Totals())) for day_ms in range(first_ms, today_ms + DAY_MS, DAY_MS)]
        return pb.GetRevenueResponse(
            period_days=days,
            totals=pb.RevenueTotals(
                # Whatever was charged, for cancelled jobs too; the dashboard counts completed jobs only.
                total_sar=halala_to_sar(sum(day.charged_halala for _, day in every)),
                platform_fees_sar=halala_to_sar(sum(day.charged_platform_halala for _, day in every)),
                provider_payouts_sar=halala_to_sar(sum(day.charged_provider_halala for _, day in every)),
                total_jobs=sum(day.charged_jobs for _, day in every),
            ),
            by_day=[_revenue_day(day_ms, day) for day_ms, day in every],
        )

    async def GetFleetHealth(self, request: pb.GetFleetHealthRequest, context: Any) -> pb.GetFleetHealthResponse:
        """Show how the fleet stands as a whole, and by page each of its providers."""
        pages = Pages.asked(request)
        now_ms = self._plane.clock.now_ms()
        failures = await self._failures(now_ms)
        thresholds = self._plane.fleet.thresholds
        every = [(provider, provider.status(now_ms, thresholds)) for provider in self._plane.fleet]
        statuses = [status for _, status in every]
        return pb.GetFleetHealthResponse(
            total_providers=len(every),
            online=statuses.count(ProviderStatus.ONLINE),
            offline=statuses.count(ProviderStatus.OFFLINE),
            degraded=statuses.count(ProviderStatus.DEGRADED),
            providers=[
                self._health(provider, status, failures.get(provider.id, _NO_FAILURES), now_ms)
                # By id: the fleet's own order is that in which daemons were heard when the server started.
                for provider, status in sorted(every, key=lambda item: item[0].id)[pages.offset :][: pages.limit]
            ],
            generated_at=iso(now_ms),
            pagination=pages.of(len(every)),
        )

    def _health(self, provider: Provider, status: ProviderStatus, failures: Failures, now_ms: int) -> pb.ProviderHealth:
        presence = provider.presence
        return pb.ProviderHealth(
            id=provider.id,
            gpu_model=to_value(provider.gpu_model or None),
            vram_mb=provider.vram_mib or 0,
            gpu_count=provider.gpu_count,
            gpu_source=provider.gpu_source,
            last_heartbeat=time_value(presence.last_heartbeat_ms),
            heartbeat_age_seconds=to_value(presence.age_seconds(now_ms)),
            status=status,
            jobs_running=sum(lease.running for lease in self._plane.leases.of_provider(provider.id))
            + self._plane.replicas.jobs_elsewhere(provider.id)[1],
            jobs_failed_24h=failures.count,
            container_restart_count=provider.container_restart_count or 0,
            model_cache_disk_mb=metric_of(provider.model_cache, "used_mb") or 0,
        )

    async def ListFleetAlerts(self, request: pb.ListFleetAlertsRequest, context: Any) -> pb.ListFleetAlertsResponse:
        """List what is wrong in the fleet now, oldest first."""
        pages = Pages.asked(request)
        current = await self._plane.alert_watch.current(self._plane.clock.now_ms())
        return pb.ListFleetAlertsResponse(
            alerts=[fleet_alert(*each) for each in current[pages.offset :][: pages.limit]],
            pagination=pages.of(len(current)),
        )

    def StreamFleetAlerts(
        self, request: live_pb2.StreamFleetAlertsRequest, context: Any
    ) -> AsyncGenerator[HttpBody, None]:
        """Stream what is wrong in the fleet, and who waits for a decision, as it changes."""
        return watch(self._plane, LiveAlerts(self._alert_texts), once=request.once)

    async def GetDaemonHealth(self, request: pb.GetDaemonHealthRequest, context: Any) -> pb.GetDaemonHealthResponse:
        """List the events that daemons reported, newest first."""
        since_ms = self._plane.clock.now_ms() - (request.hours or _HOURS) * HOUR_MS
        provider_id = request.provider_id if request.HasField("provider_id") else None
        events, counts = await self._plane.db.read_history(
            lambda conn: (
                daemon_events.latest(conn, since_ms, _EVENTS_SHOWN, provider_id),
                daemon_events.counts(conn, since_ms, provider_id),
            )
        )
        return pb.GetDaemonHealthResponse(
            events=[_event(row) for row in events], counts={severity.value: count for severity, count in counts.items()}
        )

    async def _failures(self, now_ms: int) -> dict[int, Failures]:
        return await self._plane.db.read_history(lambda conn: monitoring.failures_by_provider(conn, now_ms - DAY_MS))


def _series_point(span: MarketSpan) -> pb.SeriesPoint:
    return pb.SeriesPoint(
        at=iso(span.at_ms),
        machines=span.machines,
        online=span.online,
        queued=span.queued,
        running=span.running,
        jobs_completed=span.jobs_completed,
        jobs_failed=span.jobs_failed,
        charged_halala=span.charged_halala,
    )


def _refusals(counts: Iterable[RefusalCount]) -> list[pb.RefusalCount]:
    return [pb.RefusalCount(method=each.method, reason=each.reason, count=each.count) for each in counts]


def _edge_metrics(counts: EdgeCounts | None) -> pb.EdgeMetrics:
    if counts is None:
        return pb.EdgeMetrics(asked=False)
    return pb.EdgeMetrics(
        asked=True, refusals=_refusals(counts.shown()), refused_connections=counts.refused_connections
    )


def _revenue_day(day_ms: int, day: Totals) -> pb.RevenueDay:
    return pb.RevenueDay(
        date=to_datetime(day_ms).date().isoformat(),
        total_sar=halala_to_sar(day.charged_halala),
        platform_fees_sar=halala_to_sar(day.charged_platform_halala),
        provider_payouts_sar=halala_to_sar(day.charged_provider_halala),
        jobs=day.charged_jobs,
    )


def _event(row: DaemonEventRow) -> pb.DaemonEvent:
    return pb.DaemonEvent(
        id=row.id,
        provider_id=row.provider_id,
        event_type=row.event_type,
        severity=row.severity,
        details=to_value(row.details),
        created_at=iso(row.created_at_ms),
    )
