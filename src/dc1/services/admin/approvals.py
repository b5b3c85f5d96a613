"""The list of providers, and who of them is let in."""

from typing import Any

from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.providers.hardware import is_of_gpu_type, requested_gpu_type
from dc1.domain.providers.liveness import ProviderStatus
from dc1.services.api.call import current_call
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import row_id, time_value, to_value
from dc1.services.providers.messages import admin_provider
from dcp.v1 import admin_provider_service_pb2 as pb


class ApprovalCalls(ServicerPart):
    """Listing and approving providers."""

    async def ListProviders(self, request: pb.ListProvidersRequest, context: Any) -> pb.ListProvidersResponse:
        """List provider accounts, newest first."""
        pages = Pages.asked(request)
        now_ms = self._plane.clock.now_ms()
        every = [(item, item.status(now_ms, self._plane.fleet.thresholds)) for item in self._plane.fleet]
        found = [(item, status) for item, status in reversed(every) if _matches(item, status, request)]
        statuses = [status for _, status in every]
        speeds = self._plane.dispatcher.speeds
        return pb.ListProvidersResponse(
            total=len(every),
            online=statuses.count(ProviderStatus.ONLINE),
            offline=statuses.count(ProviderStatus.OFFLINE),
            registered=statuses.count(ProviderStatus.REGISTERED),
            pending_approval=sum(item.awaits_approval for item, _ in every),
            providers=[admin_provider(item, status, speeds) for item, status in found[pages.offset :][: pages.limit]],
            pagination=pages.of(len(found)),
        )

    async def ApproveProvider(self, request: pb.ApproveProviderRequest, context: Any) -> pb.ApproveProviderResponse:
        """Approve a provider, from any state."""
        provider = await self._provider(request.provider_id)
        await self._plane.provider_supervision.approve(provider, current_call().principal.actor)
        return pb.ApproveProviderResponse(success=True, provider_id=provider.id, **_decision(provider))

    async def RejectProvider(self, request: pb.RejectProviderRequest, context: Any) -> pb.RejectProviderResponse:
        """Reject a provider, from any state."""
        provider = await self._provider(request.provider_id)
        await self._plane.provider_supervision.reject(provider, current_call().principal.actor, request.reason.strip())
        return pb.RejectProviderResponse(success=True, provider_id=provider.id, **_decision(provider))

    async def DecideProviderApproval(
        self, request: pb.DecideProviderApprovalRequest, context: Any
    ) -> pb.DecideProviderApprovalResponse:
        """Decide on a provider that is pending."""
        provider = await self._provider(request.provider_id)
        actor = current_call().principal.actor
        if request.decision == "approve":
            await self._plane.provider_supervision.approve(provider, actor, only_pending=True)
        else:
            await self._plane.provider_supervision.reject(provider, actor, request.reason.strip(), only_pending=True)
        return pb.DecideProviderApprovalResponse(
            success=True,
            provider_id=provider.id,
            # The present time: the account keeps the time of an approval only.
            decided_at=iso(self._plane.clock.now_ms()),
            **_decision(provider),
        )

    async def _provider(self, sent: str) -> Provider:
        return await self._plane.provider(row_id(sent, errors.provider_not_found))


def _matches(provider: Provider, status: ProviderStatus, request: pb.ListProvidersRequest) -> bool:
    search = request.search.strip().lower()
    # Nobody decides about a closed account any more.
    statuses = (status,) if provider.deleted else (status, provider.approval)
    return (
        (not request.HasField("owner_id") or request.owner_id == provider.account_id)
        and (not request.status or request.status in statuses)
        and (search in provider.name.lower() or search in provider.email)
        and _has_gpu(provider, request.gpu_model.strip())
    )


def _has_gpu(provider: Provider, wanted: str) -> bool:
    """Tell whether a machine's model is meant: by its canonical name, or by a part of what was reported."""
    named = requested_gpu_type(wanted)
    is_named = named is not None and is_of_gpu_type(provider.gpu_type, named)
    return is_named or wanted.lower() in provider.gpu_model.lower()


def _decision(provider: Provider) -> dict[str, Any]:
    return {
        "approval_status": provider.approval.value,
        "approved_at": time_value(provider.approved_at_ms),
        "rejected_reason": to_value(provider.rejected_reason),
    }
