"""AdminService: the dashboard, the providers' approval, and the money."""

from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.providers.liveness import ProviderStatus
from dc1.services.api.call import current_call
from dc1.services.api.paging import Pages
from dc1.services.api.values import NULL, row_id, time_value, to_value
from dc1.services.providers.admin_messages import admin_provider
from dc1.storage.money import counters, ledger_audit
from dc1.storage.money.counters import Totals
from dc1.storage.money.ledger import AccountKind
from dcp.v1 import admin_service_pb2 as pb
from dcp.v1.admin_service_pb2_grpc import AdminServiceServicer


class AdminServicer(AdminServiceServicer):
    """Operating the market."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def GetDashboard(self, request: pb.GetDashboardRequest, context: Any) -> pb.GetDashboardResponse:
        """Show the market at a glance."""
        now_ms = self._plane.clock.now_ms()
        always, today = await self._plane.db.read(lambda conn: (counters.read(conn), counters.read_day(conn, now_ms)))
        fleet = self._plane.fleet
        return pb.GetDashboardResponse(
            stats=self._stats(always, today, now_ms),
            gpu_breakdown=[pb.GpuCount(gpu_model=to_value(model), count=n) for model, n in fleet.lists.by_gpu_model()],
            recent_signups=[_signup(provider) for provider in fleet.lists.newest()],
            recent_heartbeats=[_heartbeat(provider) for provider in fleet.lists.newest_heartbeats()],
        )

    def _stats(self, always: Totals, today: Totals, now_ms: int) -> pb.DashboardStats:
        fleet = self._plane.fleet
        online = fleet.lists.online_on_dashboard()
        return pb.DashboardStats(
            total_providers=len(fleet),
            online_now=online,
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
        )

    async def ListProviders(self, request: pb.ListProvidersRequest, context: Any) -> pb.ListProvidersResponse:
        """List provider accounts, newest first."""
        pages = Pages.asked(request)
        now_ms = self._plane.clock.now_ms()
        every = [(item, item.status(now_ms, self._plane.fleet.thresholds)) for item in self._plane.fleet]
        found = [(item, status) for item, status in reversed(every) if _matches(item, status, request)]
        statuses = [status for _, status in every]
        return pb.ListProvidersResponse(
            total=len(every),
            online=statuses.count(ProviderStatus.ONLINE),
            offline=statuses.count(ProviderStatus.OFFLINE),
            registered=statuses.count(ProviderStatus.REGISTERED),
            pending_approval=sum(item.awaits_approval for item, _ in every),
            providers=[admin_provider(item, status) for item, status in found[pages.offset :][: pages.limit]],
            pagination=pages.of(len(found)),
        )

    async def ApproveProvider(self, request: pb.ApproveProviderRequest, context: Any) -> pb.ApproveProviderResponse:
        """Approve a provider, from any state."""
        provider = await self._provider(request.provider_id)
        await self._plane.provider_supervision.approve(provider, current_call().principal.fingerprint)
        return pb.ApproveProviderResponse(success=True, provider_id=provider.id, **_decision(provider))

    async def RejectProvider(self, request: pb.RejectProviderRequest, context: Any) -> pb.RejectProviderResponse:
        """Reject a provider, from any state."""
        provider = await self._provider(request.provider_id)
        await self._plane.provider_supervision.reject(
            provider, current_call().principal.fingerprint, request.reason.strip()
        )
        return pb.RejectProviderResponse(success=True, provider_id=provider.id, **_decision(provider))

    async def DecideProviderApproval(
        self, request: pb.DecideProviderApprovalRequest, context: Any
    ) -> pb.DecideProviderApprovalResponse:
        """Decide on a provider that is pending."""
        provider = await self._provider(request.provider_id)
        actor = current_call().principal.fingerprint
        if request.decision == "approve":
            await self._plane.provider_supervision.approve(provider, actor, only_pending=True)
        else:
            await self._plane.provider_supervision.reject(provider, actor, request.reason.strip(), only_pending=True)
        return pb.DecideProviderApprovalResponse(
            success=True,
            provider_id=provider.id,
            decided_at=iso(self._plane.clock.now_ms()),
            **_decision(provider),
        )

    async def _provider(self, sent: str) -> Provider:
        return await self._plane.provider(row_id(sent, errors.provider_not_found))

    async def AdjustRenterBalance(
        self, request: pb.AdjustRenterBalanceRequest, context: Any
    ) -> pb.AdjustRenterBalanceResponse:
        """Add to or take from a renter's wallet."""
        renter_id = row_id(request.renter_id, errors.renter_not_found)
        change = await self._plane.wallets.adjust(renter_id, request.amount_halala, request.reason or None)
        return pb.AdjustRenterBalanceResponse(
            success=True,
            renter_id=renter_id,
            previous_balance=change.previous_balance,
            adjustment=request.amount_halala,
            new_balance=change.new_balance,
        )

    async def GetFinanceSummary(
        self, request: pb.GetFinanceSummaryRequest, context: Any
    ) -> pb.GetFinanceSummaryResponse:
        """Show where the market's money is."""
        balances = (await self._plane.db.read(ledger_audit.trial_balance)).balances
        sources = (AccountKind.PROMO, AccountKind.EXTERNAL, AccountKind.ADJUSTMENT)
        return pb.GetFinanceSummaryResponse(
            wallets_halala=balances[AccountKind.WALLET],
            holds_halala=balances[AccountKind.HOLD],
            provider_earnings_halala=balances[AccountKind.PAYABLE],
            platform_halala=balances[AccountKind.PLATFORM],
            payouts_halala=balances[AccountKind.PAYOUT],
            external_halala=-sum(balances[kind] for kind in sources),
        )


def _matches(provider: Provider, status: ProviderStatus, request: pb.ListProvidersRequest) -> bool:
    search = request.search.strip().lower()
    # Nobody decides about a closed account any more.
    statuses = (status,) if provider.deleted else (status, provider.approval)
    return (
        (not request.status or request.status in statuses)
        and (search in provider.name.lower() or search in provider.email)
        and request.gpu_model.strip().lower() in provider.gpu_model.lower()
    )


def _decision(provider: Provider) -> dict[str, Any]:
    return {
        "approval_status": provider.approval.value,
        "approved_at": time_value(provider.approved_at_ms),
        "rejected_reason": to_value(provider.rejected_reason),
    }


def _signup(provider: Provider) -> pb.RecentSignup:
    return pb.RecentSignup(
        id=provider.id,
        name=provider.name,
        email=provider.email,
        gpu_model=to_value(provider.gpu_model or None),
        os=provider.os,
        created_at=iso(provider.created_at_ms),
    )


def _heartbeat(provider: Provider) -> pb.RecentHeartbeat:
    heard_ms = provider.presence.last_heartbeat_ms
    assert heard_ms is not None
    return pb.RecentHeartbeat(
        id=provider.id,
        name=provider.name,
        gpu_model=to_value(provider.gpu_model or None),
        provider_ip=to_value(provider.provider_ip),
        provider_hostname=to_value(provider.provider_hostname),
        last_heartbeat=iso(heard_ms),
        gpu_status=NULL if provider.gpu_status is None else to_value(provider.gpu_status),
    )
