"""What a daemon that speaks HTTP says of itself and its machine."""

from typing import Any

from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_number, plain
from dc1.domain.providers.reports import EventSeverity, Report, read_report
from dc1.services.api.parts import ServicerPart
from dc1.services.api.provider_access import calling_provider, own_provider, require_approved
from dc1.services.api.values import from_struct, from_value, to_struct
from dcp.v1 import daemon_service_pb2 as pb

# Contract 8; counted in the message, as the text it came in is gone at the edge.
_LARGEST_EVENT = 128 * 1024


class MachineCalls(ServicerPart):
    """Presence, readiness, benchmarks and events."""

    # Presence

    async def BeatProvider(self, request: pb.BeatProviderRequest, context: Any) -> pb.BeatProviderResponse:
        """Take a short heartbeat."""
        provider = await own_provider(self._plane, request.provider_id)
        await require_approved(self._plane, provider)
        at_ms = self._heard(provider, read_report({"gpu_status": _short_status(request)}))
        working = as_number(from_value(request.jobs_active))
        running = sum(lease.running for lease in self._plane.leases.of_provider(provider.id))
        # A count and no names: only when it covers all it was handed is each of them surely taken up. A poll is never
        # acknowledged otherwise (contract 8).
        if working is not None and 0 < running <= working:
            self._plane.polling.taken_up(provider.id)
        return pb.BeatProviderResponse(**self._presence(provider, at_ms))

    async def GoOnline(self, request: pb.GoOnlineRequest, context: Any) -> pb.GoOnlineResponse:
        """Note that the daemon is there."""
        provider = await own_provider(self._plane, request.provider_id)
        await require_approved(self._plane, provider)
        return pb.GoOnlineResponse(**self._presence(provider, self._heard(provider, Report())))

    async def GoOffline(self, request: pb.GoOfflineRequest, context: Any) -> pb.GoOfflineResponse:
        """Note that the daemon leaves, and dispatch its jobs anew."""
        provider = await own_provider(self._plane, request.provider_id)
        await require_approved(self._plane, provider)
        # First, or what is taken from it could be placed on it again.
        self._plane.fleet.presence.sign_off(provider)
        await self._plane.attempts.evict(provider, "The provider went offline")
        return pb.GoOfflineResponse(**self._presence(provider, self._plane.clock.now_ms()))

    def _heard(self, provider: Provider, report: Report) -> int:
        at_ms = self._plane.fleet.presence.heartbeat(provider, report)
        # It may have been away until now, or have a model it had not, and jobs may wait for either.
        self._plane.dispatcher.wake(provider.id)
        return at_ms

    def _presence(self, provider: Provider, at_ms: int) -> dict[str, Any]:
        status = provider.status(at_ms, self._plane.fleet.thresholds)
        return {"success": True, "provider_id": provider.id, "status": status, "timestamp": iso(at_ms)}

    # The machine

    async def ReportReadiness(self, request: pb.ReportReadinessRequest, context: Any) -> pb.ReportReadinessResponse:
        """Judge the daemon's checks of its machine."""
        _require_event_size(request)
        checks = from_struct(request.checks)
        version = request.daemon_version if request.HasField("daemon_version") else None
        provider = await calling_provider(self._plane)
        ready = await self._plane.machine_reports.readiness(provider, checks, version)
        return pb.ReportReadinessResponse(
            success=True, readiness_status="ready" if ready else "failed", checks=to_struct(checks)
        )

    async def ReportBenchmark(self, request: pb.ReportBenchmarkRequest, context: Any) -> pb.ReportBenchmarkResponse:
        """Grade a benchmark of the machine."""
        provider = await own_provider(self._plane, request.provider_id)
        measured: JsonObject = {
            field.name: value for field, value in request.ListFields() if field.name != "provider_id"
        }
        tier = await self._plane.machine_reports.benchmark(provider, request.tflops, request.vram_gb, measured)
        return pb.ReportBenchmarkResponse(success=True, tier=tier)

    async def ReportDaemonEvent(
        self, request: pb.ReportDaemonEventRequest, context: Any
    ) -> pb.ReportDaemonEventResponse:
        """Store an event for the operators to see."""
        _require_event_size(request)
        provider = await calling_provider(self._plane)
        details = from_value(request.details)
        await self._plane.machine_reports.event(
            provider, request.event_type, EventSeverity(request.severity or EventSeverity.INFO), details
        )
        return pb.ReportDaemonEventResponse(success=True, event_type=request.event_type, provider_id=provider.id)


def _require_event_size(request: pb.ReportReadinessRequest | pb.ReportDaemonEventRequest) -> None:
    if request.ByteSize() > _LARGEST_EVENT:
        raise errors.request_body_too_large()


def _short_status(request: pb.BeatProviderRequest) -> JsonValue:
    """Return a short heartbeat in the words of the long one, None when it says nothing."""
    sent = {field.name: from_value(value) for field, value in request.ListFields() if field.name != "provider_id"}
    total, used = as_number(sent.get("vram_total_mb")), as_number(sent.get("vram_used_mb"))
    known: JsonObject = {
        "gpu_util_pct": sent.get("gpu_utilization"),
        "gpu_vram_mib": sent.get("vram_total_mb"),
        "free_vram_mib": plain(total - used) if total is not None and used is not None else None,
    }
    told: JsonObject = {name: value for name, value in (sent | known).items() if value is not None}
    return told or None
