"""A provider's account, and the two calls that keep it online: the stream and the long heartbeat."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from dc1.control.operations.provider_accounts import OpenedProvider
from dc1.domain.base import versions
from dc1.domain.base.clock import iso
from dc1.domain.money.shared_traits import network
from dc1.domain.providers.hardware import canonical_os
from dc1.services.api.call import current_call
from dc1.services.api.hooks import shape_checked_by
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.provider_access import calling_provider, meant_machines, require_approved
from dc1.services.api.values import NULL, to_value
from dc1.services.daemons.arriving_streams import ArrivingStreams
from dc1.services.daemons.daemon_session import connect
from dc1.services.daemons.heartbeats import check_heartbeat, report_of
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.stream_log import StreamLog
from dc1.services.providers.declared import declared
from dc1.services.providers.messages import Income, provider_job, provider_message
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.providers.providers import NewProvider
from dcp.v1 import daemon_stream_pb2 as stream_pb
from dcp.v1 import provider_service_pb2 as pb
from dcp.v1 import report_pb2

_RECENT_JOBS = 20


class ProviderCalls(ServicerPart):
    """Providers and their daemons."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._arriving = ArrivingStreams()
        self._message_budget = MessageBudget()
        self._stream_log = StreamLog()
        self._idempotent = parts.idempotent

    # No generator around the stream's own, which each message would pass through.
    def Connect(
        self, request_iterator: AsyncIterator[stream_pb.ConnectRequest], context: Any
    ) -> AsyncGenerator[stream_pb.ConnectResponse, None]:
        """Hold a daemon's stream."""
        return connect(self._plane, request_iterator, self._arriving, self._message_budget, self._stream_log)

    async def RegisterProvider(self, request: pb.RegisterProviderRequest, context: Any) -> pb.RegisterProviderResponse:
        """Open an account that waits for approval."""
        new = NewProvider(
            name=request.name,
            email=request.email,
            os=canonical_os(request.os),
            phone=request.phone or None,
            # `location_country` is the contract's alias of the field (3.4).
            location=request.location or request.location_country or None,
            registered_from=network(current_call().address),
            **declared(request),
        )

        # Never with the key in it: addresses end up in logs and in the histories of browsers and shells.
        installer_url = f"{self._plane.config.installer_base_url.rstrip('/')}/install.sh"

        def answer(opened: OpenedProvider) -> pb.RegisterProviderResponse:
            row = opened.account
            return pb.RegisterProviderResponse(
                success=True,
                provider_id=row.id,
                api_key=opened.api_key,
                installer_url=installer_url,
                message=f"Welcome {row.name}! Store this API key now, it is not shown again.",
                status="registered",
                approval_status=row.approval_status,
            )

        return await self._idempotent.run(
            pb.RegisterProviderResponse,
            lambda hook: self._plane.provider_accounts.register(new, hook),
            answer,
            sealed="api_key",
        )

    @shape_checked_by(check_heartbeat)
    async def Heartbeat(self, request: report_pb2.HeartbeatRequest, context: Any) -> pb.HeartbeatResponse:
        """Take the state of a daemon that speaks HTTP only."""
        provider = await calling_provider(self._plane)
        await require_approved(self._plane, provider)
        # After the approval was asked for: of a provider that is not approved nothing is stored.
        report = report_of(request)
        at_ms = self._plane.fleet.presence.heartbeat(provider, report)
        await self._plane.second_daemons.posted(provider, report.provider_hostname)
        self._plane.dispatcher.wake(provider.id)
        config = self._plane.config
        check = versions.check_version(
            # The version in this report and not the last one known: a daemon that names none is told to update.
            report.facts.daemon_version,
            latest=config.daemon_latest_version,
            minimum=config.daemon_min_version,
        )
        return pb.HeartbeatResponse(
            success=True,
            message="Heartbeat received",
            timestamp=iso(at_ms),
            needs_update=check.needs_update,
            update_available=check.update_available,
            latest_version=config.daemon_latest_version,
            min_version=config.daemon_min_version,
            approval_status=provider.approval,
            approved=True,
            is_paused=bool(provider.pauses),
            preload_model=NULL
            if provider.preload_model is None
            else to_value({"model_name": provider.preload_model, "status": "downloading"}),
        )

    async def GetProvider(self, request: pb.GetProviderRequest, context: Any) -> pb.GetProviderResponse:
        """Show the caller's account."""
        provider = await calling_provider(self._plane)
        now_ms = self._plane.clock.now_ms()

        recent, income = await self._plane.db.read(lambda conn: _recent_work(conn, provider.id, now_ms))
        return pb.GetProviderResponse(
            provider=provider_message(self._plane, provider, income), recent_jobs=[provider_job(job) for job in recent]
        )

    async def PauseProvider(self, request: pb.PauseProviderRequest, context: Any) -> pb.PauseProviderResponse:
        """Stop new work for the caller."""
        await calling_provider(self._plane)
        for machine in await meant_machines(self._plane, _machine_id(request)):
            await self._plane.provider_accounts.pause(machine)
        return pb.PauseProviderResponse(success=True, status="paused")

    async def ResumeProvider(self, request: pb.ResumeProviderRequest, context: Any) -> pb.ResumeProviderResponse:
        """Let the caller be given new work again."""
        await calling_provider(self._plane)
        machines = await meant_machines(self._plane, _machine_id(request))
        for machine in machines:
            await self._plane.provider_accounts.resume(machine)
        status = machines[0].status(self._plane.clock.now_ms(), self._plane.fleet.thresholds)
        return pb.ResumeProviderResponse(success=True, status=status)


def _machine_id(request: pb.PauseProviderRequest | pb.ResumeProviderRequest) -> int | None:
    return request.machine_id if request.HasField("machine_id") else None


def _recent_work(conn: Connection, provider_id: int, now_ms: int) -> tuple[list[JobRow], Income]:
    recent = jobs.latest(conn, JobFilter(account_id=provider_id), limit=_RECENT_JOBS)
    return recent, Income.read(conn, provider_id, now_ms)
