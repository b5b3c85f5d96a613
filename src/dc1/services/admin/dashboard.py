"""The dashboard."""

from typing import Any

from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import iso
from dc1.services.api.edge_refusals import EdgeCounts
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import NULL, to_value
from dc1.storage.money import counters
from dc1.storage.money.counters import Totals
from dcp.v1 import admin_service_pb2 as pb


class DashboardCalls(ServicerPart):
    """The market at a glance."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._refused = parts.refusals
        self._refused_at_edge = parts.edge_refusals

    async def GetDashboard(self, request: pb.GetDashboardRequest, context: Any) -> pb.GetDashboardResponse:
        """Show the market at a glance."""
        edge = await self._refused_at_edge.read()
        now_ms = self._plane.clock.now_ms()
        # Every transaction keeps these sums up to date in counters; adding up all jobs would walk the whole table at
        # each look. Both in one reading, so that no job falls between them.
        always, today = await self._plane.db.read(lambda conn: (counters.read(conn), counters.read_day(conn, now_ms)))
        fleet = self._plane.fleet
        return pb.GetDashboardResponse(
            # Nothing is awaited from here on, so that the numbers of the fleet are of one moment.
            stats=self._stats(always, today, edge, now_ms),
            gpu_breakdown=[
                pb.GpuCount(gpu_model=to_value(model or None), count=n, gpu_source=source)
                for (model, source), n in fleet.lists.by_gpu_model()
            ],
            recent_signups=[_signup(provider) for provider in fleet.lists.newest()],
            recent_heartbeats=[_heartbeat(provider) for provider in fleet.lists.newest_heartbeats()],
        )

    def _stats(self, always: Totals, today: Totals, edge: EdgeCounts | None, now_ms: int) -> pb.DashboardStats:
        fleet = self._plane.fleet
        online = fleet.lists.online_on_dashboard()
        return pb.DashboardStats(
            total_providers=len(fleet),
            total_owners=fleet.lists.owners(),
            online_now=online,
            # By the dashboard's own measure of five minutes, and not by the liveness that lists show.
            offline=len(fleet) - online,
            total_renters=always.renters,
            active_renters=always.renters_active,
            total_renter_balance_halala=always.wallets_halala,
            total_jobs=always.jobs,
            completed_jobs=always.jobs_completed,
            failed_jobs=always.jobs_failed,
            active_jobs=always.jobs_active,
            total_revenue_halala=always.completed_revenue_halala,
            total_dc1_fees_halala=always.completed_fees_halala,
            today_revenue_halala=today.completed_revenue_halala,
            today_dc1_fees_halala=today.completed_fees_halala,
            today_jobs=today.jobs_completed,
            timestamp=iso(now_ms),
            refused_calls=sum(each.count for each in self._refused),
            refused_at_edge=0 if edge is None else edge.refusals.total(),
        )


def _signup(provider: Provider) -> pb.RecentSignup:
    return pb.RecentSignup(
        id=provider.id,
        name=provider.name,
        email=provider.email,
        gpu_model=to_value(provider.gpu_model or None),
        gpu_source=provider.gpu_source,
        os=provider.os,
        created_at=iso(provider.created_at_ms),
    )


def _heartbeat(provider: Provider) -> pb.RecentHeartbeat:
    # The fleet lists by heartbeat only who was heard at all.
    heard_ms = provider.presence.last_heartbeat_ms
    assert heard_ms is not None
    return pb.RecentHeartbeat(
        id=provider.id,
        name=provider.name,
        gpu_model=to_value(provider.gpu_model or None),
        gpu_source=provider.gpu_source,
        provider_ip=to_value(provider.provider_ip),
        provider_hostname=to_value(provider.provider_hostname),
        last_heartbeat=iso(heard_ms),
        gpu_status=NULL if provider.gpu_status is None else to_value(provider.gpu_status),
    )
