"""Providers as admins see them."""

from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import iso
from dc1.domain.providers.liveness import ProviderStatus
from dc1.services.api.values import time_value, to_value
from dc1.services.providers.messages import preferences_message
from dc1.storage.providers.providers import Earnings, ProviderRow
from dcp.v1.admin_provider_pb2 import AdminProvider, InspectedProvider


def admin_provider(provider: Provider, status: ProviderStatus) -> AdminProvider:
    """Return one line of the list of providers."""
    shown = AdminProvider()
    _fill(shown, provider, status)
    return shown


def inspected_provider(
    provider: Provider, row: ProviderRow, earned: Earnings, now_ms: int, status: ProviderStatus
) -> InspectedProvider:
    """Return everything that is known of a provider; `row` is its account as it is stored."""
    shown = InspectedProvider(
        os=provider.os,
        # From the row: the server has no use for it and does not keep it in memory.
        phone=to_value(row.phone),
        location=to_value(provider.location),
        approved_at=time_value(provider.approved_at_ms),
        rejected_reason=to_value(provider.rejected_reason),
        is_paused=provider.paused,
        is_suspended=provider.suspended,
        provider_ip=to_value(provider.provider_ip),
        provider_hostname=to_value(provider.provider_hostname),
        cached_models=provider.models,
        resource_spec=to_value(provider.resource_spec),
        preload_model=to_value(provider.preload_model),
        preferences=preferences_message(provider.preferences),
        reputation_score=provider.reputation(now_ms),
        total_earnings_halala=earned.total_halala,
        available_halala=earned.available_halala,
        total_jobs=provider.completed_jobs,
    )
    _fill(shown, provider, status)
    return shown


def _fill(shown: AdminProvider | InspectedProvider, provider: Provider, status: ProviderStatus) -> None:
    shown.id = provider.id
    shown.name = provider.name
    shown.email = provider.email
    shown.gpu_model.CopyFrom(to_value(provider.gpu_model or None))
    shown.vram_mib = provider.facts.vram_mib or 0
    shown.gpu_count = provider.slots
    shown.status = status
    shown.approval_status = provider.approval
    shown.last_heartbeat.CopyFrom(time_value(provider.presence.last_heartbeat_ms))
    shown.daemon_version.CopyFrom(to_value(provider.facts.daemon_version))
    shown.slots_used = provider.occupied
    shown.created_at = iso(provider.created_at_ms)
