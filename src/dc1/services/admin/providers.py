"""AdminProviderService: admins looking after providers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from google.api.httpbody_pb2 import HttpBody

from dc1.control.fleet.loading import provider_from_row
from dc1.control.fleet.provider import Provider
from dc1.control.operations.provider_supervision import ProviderAction
from dc1.domain import errors
from dc1.domain.base.clock import DAY_MS, iso
from dc1.domain.providers.reputation import uptime_percent_of_day
from dc1.domain.providers.telemetry import MINUTES, Rollup
from dc1.services.api.call import current_call
from dc1.services.api.live_stream import LiveSource, watch
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.values import row_id, stated_reason, to_value
from dc1.services.providers.live_machines import MachineRows, Machines, OneMachine
from dc1.services.providers.messages import inspected_provider, provider_job
from dc1.storage.admin import monitoring
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.providers import approvals, providers, telemetry
from dc1.storage.providers.providers import Earnings, ProviderRow
from dcp.v1 import admin_provider_pb2, live_pb2
from dcp.v1 import admin_provider_service_pb2 as pb

_log = structlog.get_logger(__name__)
_HEARTBEATS_SHOWN = 20
_JOBS_SHOWN = 20
_WAITING_SHOWN = 50
_MOST_WAITING_SHOWN = 200
_SLA_SECONDS = DAY_MS // 1000


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the database knows of a provider."""

    row: ProviderRow
    earned: Earnings
    jobs: list[JobRow]
    minutes: dict[int, Rollup]
    heartbeats_of_day: float


class SupervisedProviderCalls(ServicerPart):
    """Detail, approval queue, suspension, keys and models of providers."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._rows = MachineRows(parts.plane)

    # Looking

    async def StreamFleet(self, request: live_pb2.StreamFleetRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Stream the machines of the fleet, or one of them, as they change."""
        machines: LiveSource = Machines(self._rows, self._plane.fleet)
        if request.HasField("provider_id"):
            # Before the first frame, so that 404 is an ordinary answer (contract 6.1).
            machines = OneMachine(self._rows, await self._plane.find_provider(request.provider_id))
        async with aclosing(watch(self._plane, machines, once=request.once)) as bodies:
            async for body in bodies:
                yield body

    async def InspectProvider(self, request: pb.InspectProviderRequest, context: Any) -> pb.InspectProviderResponse:
        """Show a provider with its uptime, newest heartbeats and newest jobs."""
        provider = await self._named(request.provider_id)
        now_ms = self._plane.clock.now_ms()
        unflushed = provider.beats_to_flush
        stored = await self._plane.db.read_history(lambda conn: _read(conn, provider.id, now_ms))
        if provider.beats_to_flush < unflushed:
            # Flushed while it was read: the beats would be missing in both places.
            stored = await self._plane.db.read_history(lambda conn: _read(conn, provider.id, now_ms))
        fleet = self._plane.fleet
        status = provider.status(now_ms, fleet.thresholds)
        # What was heard since the last flush is in memory only, and an admin who looks now wants just that.
        heartbeats = stored.heartbeats_of_day + provider.beats_to_flush
        minutes = stored.minutes
        for minute_ms, rollup in fleet.telemetry.of(provider.id, MINUTES, now_ms).items():
            # A minute may be half stored and half in memory.
            minutes.setdefault(minute_ms, Rollup()).add(rollup)
        newest = sorted(minutes, reverse=True)[:_HEARTBEATS_SHOWN]
        shown = inspected_provider(provider, stored.row, stored.earned, now_ms, status, self._plane.dispatcher.speeds)
        shown.jobs_held = self._jobs_held(provider)
        return pb.InspectProviderResponse(
            provider=shown,
            uptime=admin_provider_pb2.Uptime(hours_24=uptime_percent_of_day(heartbeats), days_7=provider.uptime_pct),
            heartbeat_log=[_heartbeat(minute_ms, minutes[minute_ms]) for minute_ms in newest],
            jobs=[provider_job(job) for job in stored.jobs],
        )

    async def ListApprovalQueue(
        self, request: pb.ListApprovalQueueRequest, context: Any
    ) -> pb.ListApprovalQueueResponse:
        """List the providers that wait for a decision, longest first."""
        limit = min(request.limit or _WAITING_SHOWN, _MOST_WAITING_SHOWN)
        now_ms = self._plane.clock.now_ms()
        waiting = await self._plane.db.read_history(lambda conn: approvals.waiting(conn, limit=limit))
        return pb.ListApprovalQueueResponse(
            # All that wait, not only those shown.
            count=waiting.total,
            generated_at=iso(now_ms),
            sla_target_seconds=_SLA_SECONDS,
            providers=[_pending(row, now_ms) for row in waiting.rows],
        )

    async def ListApprovalAudit(
        self, request: pb.ListApprovalAuditRequest, context: Any
    ) -> pb.ListApprovalAuditResponse:
        """List the decisions that were made on a provider, newest first."""
        provider = await self._named(request.provider_id)
        made = await self._plane.db.read_history(lambda conn: approvals.decisions(conn, provider.id))
        entries = [
            admin_provider_pb2.ApprovalDecision(
                at=iso(item.at_ms), actor=item.actor, decision=item.decision, reason=to_value(item.reason)
            )
            for item in made
        ]
        return pb.ListApprovalAuditResponse(entries=entries)

    # Deciding

    async def SuspendProvider(self, request: pb.SuspendProviderRequest, context: Any) -> pb.SuspendProviderResponse:
        """Give a provider no more work, and put back what it runs."""
        provider = await self._named(request.provider_id)
        await self._plane.provider_supervision.suspend(provider)
        return pb.SuspendProviderResponse(success=True, provider_id=provider.id, status=self._status(provider))

    async def UnsuspendProvider(
        self, request: pb.UnsuspendProviderRequest, context: Any
    ) -> pb.UnsuspendProviderResponse:
        """Let a provider have work again."""
        provider = await self._named(request.provider_id)
        await self._plane.provider_supervision.unsuspend(provider)
        return pb.UnsuspendProviderResponse(success=True, provider_id=provider.id, status=self._status(provider))

    async def DrainProvider(self, request: pb.DrainProviderRequest, context: Any) -> pb.DrainProviderResponse:
        """Give a provider no more work, and let it finish what it runs."""
        provider = await self._named(request.provider_id)
        await self._plane.provider_supervision.drain(provider)
        return pb.DrainProviderResponse(
            success=True, provider_id=provider.id, status=self._status(provider), jobs_held=self._jobs_held(provider)
        )

    async def UndrainProvider(self, request: pb.UndrainProviderRequest, context: Any) -> pb.UndrainProviderResponse:
        """Let a drained provider have work again."""
        provider = await self._named(request.provider_id)
        await self._plane.provider_supervision.undrain(provider)
        return pb.UndrainProviderResponse(success=True, provider_id=provider.id, status=self._status(provider))

    async def SetProviderStatus(
        self, request: pb.SetProviderStatusRequest, context: Any
    ) -> pb.SetProviderStatusResponse:
        """Suspend a provider, or let it have work again."""
        provider = await self._named(request.provider_id)
        if request.status == "suspended":
            await self._plane.provider_supervision.suspend(provider)
        else:
            await self._plane.provider_supervision.unsuspend(provider)
        return pb.SetProviderStatusResponse(success=True, provider_id=provider.id, status=self._status(provider))

    async def ResetProviderKey(self, request: pb.ResetProviderKeyRequest, context: Any) -> pb.ResetProviderKeyResponse:
        """Replace a provider's key; the old one, and a stream that was opened with it, end at once."""
        provider = await self._named(request.provider_id)
        # No grace, unlike a rotation by the owner: an admin resets a key that has got into wrong hands.
        api_key = await self._plane.provider_supervision.reset_key(provider)
        return pb.ResetProviderKeyResponse(success=True, provider_id=provider.id, new_api_key=api_key)

    async def PreloadModel(self, request: pb.PreloadModelRequest, context: Any) -> pb.PreloadModelResponse:
        """Ask a provider's daemon to fetch a model."""
        provider = await self._named(request.provider_id)
        requested_ms = await self._plane.provider_supervision.preload(provider, request.model_name)
        return pb.PreloadModelResponse(
            success=True,
            provider_id=provider.id,
            model_name=request.model_name,
            model_preload_status="downloading",
            requested_at=iso(requested_ms),
        )

    async def ProbeProvider(self, request: pb.ProbeProviderRequest, context: Any) -> pb.ProbeProviderResponse:
        """Begin a probe of a provider's machine."""
        provider = await self._named(request.provider_id)
        self._plane.prober.ask(provider)
        return pb.ProbeProviderResponse(success=True, provider_id=provider.id)

    async def ReleasePromoEarnings(
        self, request: pb.ReleasePromoEarningsRequest, context: Any
    ) -> pb.ReleasePromoEarningsResponse:
        """Let a provider withdraw what it earned from starter credit."""
        provider, reason = await self._named(request.provider_id), stated_reason(request.reason)
        released, earned = await self._plane.payouts.release_promo(
            provider.account_id, reason, request.renter_id or None
        )
        return pb.ReleasePromoEarningsResponse(
            success=True,
            provider_id=provider.id,
            released_halala=released,
            promo_earnings_halala=earned.promo_halala,
            available_halala=earned.available_halala,
        )

    async def ClearProviderMismatch(
        self, request: pb.ClearProviderMismatchRequest, context: Any
    ) -> pb.ClearProviderMismatchResponse:
        """Take a provider's GPU to be what is reported."""
        provider, reason = await self._named(request.provider_id), stated_reason(request.reason)
        cleared = await self._plane.provider_supervision.clear_mismatch(provider)
        _log.info("mismatch_cleared", provider_id=provider.id, reason=reason)
        return pb.ClearProviderMismatchResponse(success=True, provider_id=provider.id, cleared=to_value(cleared))

    async def BulkUpdateProviders(
        self, request: pb.BulkUpdateProvidersRequest, context: Any
    ) -> pb.BulkUpdateProvidersResponse:
        """Do one thing to many providers; what cannot be done to one keeps nobody else from it."""
        ids = sorted(set(request.ids))
        failed = await self._plane.provider_supervision.act_on_all(
            ids, ProviderAction(request.action), current_call().principal.actor, self._plane.provider
        )
        total = len(ids)
        return pb.BulkUpdateProvidersResponse(
            success=not failed, action=request.action, processed=total - failed, failed=failed, total=total
        )

    async def _named(self, sent: str) -> Provider:
        return await self._plane.provider(row_id(sent, errors.provider_not_found))

    def _jobs_held(self, provider: Provider) -> int:
        # Not its slots: an engine that says how many calls it takes has none taken by them.
        return len(self._plane.leases.of_provider(provider.id)) + sum(self._plane.replicas.jobs_elsewhere(provider.id))

    def _status(self, provider: Provider) -> str:
        return provider.status(self._plane.clock.now_ms(), self._plane.fleet.thresholds)


def _read(conn: Connection, provider_id: int, now_ms: int) -> _Stored:
    row = providers.get(conn, provider_id)
    assert row is not None
    return _Stored(
        row=row,
        earned=providers.earnings(conn, provider_id),
        jobs=jobs.latest(conn, JobFilter(provider_id=provider_id), limit=_JOBS_SHOWN),
        minutes=telemetry.latest(conn, provider_id, _HEARTBEATS_SHOWN),
        heartbeats_of_day=monitoring.heartbeats_of_24_hours(conn, provider_id, now_ms),
    )


def _heartbeat(minute_ms: int, rollup: Rollup) -> admin_provider_pb2.HeartbeatEntry:
    means = {metric: to_value(mean) for metric, mean in rollup.means().items()}
    return admin_provider_pb2.HeartbeatEntry(at=iso(minute_ms), **means)


def _pending(row: ProviderRow, now_ms: int) -> admin_provider_pb2.PendingProvider:
    # The promise runs from the registration: a provider is pending from then on until the first decision.
    account = provider_from_row(row)
    deadline_ms = row.created_at_ms + _SLA_SECONDS * 1000
    return admin_provider_pb2.PendingProvider(
        id=row.id,
        owner_id=row.owner_id or row.id,
        name=row.name,
        email=row.email,
        gpu_model=to_value(account.gpu_model or None),
        gpu_source=account.gpu_source,
        created_at=iso(row.created_at_ms),
        pending_duration_seconds=(now_ms - row.created_at_ms) / 1000,
        sla_deadline_at=iso(deadline_ms),
        sla_breached=now_ms > deadline_ms,
    )
