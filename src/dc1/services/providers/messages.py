"""Provider accounts as their owners, admins and anybody see them."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.struct_pb2 import Value

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.engine_speed import EngineSpeeds
from dc1.domain.base.clock import DAY_MS, day_start_ms, iso, month_start_ms
from dc1.domain.gpus.arabic import hardware_in_arabic
from dc1.domain.gpus.card_health import shown_cards
from dc1.domain.jobs.placement import vram_gb
from dc1.domain.money.machine_prices import HUNDRED
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.providers.alerts import lately
from dc1.domain.providers.liveness import Liveness, Pause, ProviderStatus
from dc1.domain.providers.machine_grading import vram_used_mib
from dc1.domain.providers.mismatches import MISMATCH
from dc1.domain.providers.preferences import Preferences
from dc1.domain.providers.reports import metric_of
from dc1.services.api.call import prefers_arabic
from dc1.services.api.values import NULL, message_json, time_value, to_value
from dc1.services.inference.models import speed_fields
from dc1.storage.engine.database import Connection
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.providers import providers
from dc1.storage.providers.providers import Earnings, EarningsDay, ProviderRow
from dcp.v1 import provider_pb2 as pb
from dcp.v1.admin_provider_pb2 import AdminProvider, EngineSpeed, InspectedProvider

_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Income:
    """What a provider earned in all time, and on each day that the sums of its account need."""

    earned: Earnings
    days: list[EarningsDay]

    @classmethod
    def read(cls, conn: Connection, provider_id: int, now_ms: int) -> "Income":
        """Read it."""
        # The seven days may begin in the month before, and the month before the seven days.
        since_ms = min(_week_start_ms(now_ms), month_start_ms(now_ms))
        return cls(providers.earnings(conn, provider_id), list(providers.earnings_by_day(conn, provider_id, since_ms)))

    def since(self, day_ms: int) -> int:
        """Return what was earned from a day on, as far as the days were read."""
        return sum(day.earned_halala for day in self.days if day.day_ms >= day_ms)


def _week_start_ms(now_ms: int) -> int:
    return day_start_ms(now_ms) - (_WEEK_DAYS - 1) * DAY_MS


def provider_message(plane: ControlPlane, provider: Provider, income: Income) -> pb.Provider:
    """Return an account as its owner sees it."""
    now_ms = plane.clock.now_ms()
    wishes = preferences_message(provider.preferences)
    return pb.Provider(
        id=provider.id,
        name=provider.name,
        email=provider.email,
        status=provider.status(now_ms, plane.fleet.thresholds),
        gpu_model=provider.gpu_model,
        gpu_vram_mib=provider.vram_mib or 0,
        gpu_count=provider.gpu_count,
        last_heartbeat=time_value(provider.presence.last_heartbeat_ms),
        daemon_version=to_value(provider.facts.daemon_version),
        is_paused=Pause.OWNER in provider.pauses,
        approval_status=provider.approval,
        approved_at=time_value(provider.approved_at_ms),
        rejected_reason=to_value(provider.rejected_reason),
        total_earnings_halala=income.earned.total_halala,
        today_earnings_halala=income.since(day_start_ms(now_ms)),
        week_earnings_halala=income.since(_week_start_ms(now_ms)),
        month_earnings_halala=income.since(month_start_ms(now_ms)),
        total_jobs=provider.completed_jobs,
        reputation_score=provider.reputation(now_ms),
        # The same number under both names: older clients read the shorter one.
        uptime_pct=provider.uptime_pct,
        uptime_percent=provider.uptime_pct,
        is_live=plane.fleet.presence.liveness(provider) is Liveness.ONLINE,
        cached_models=provider.models,
        resource_spec=to_value(provider.resource_spec),
        supported_compute_types=provider.listed_compute_types,
        gpu_metrics=_gpu_metrics(provider),
        active_job=_active_job(plane, provider),
        second_daemon_at=time_value(lately(provider.second_daemon_at_ms, now_ms)),
        gpu_type=provider.gpu_name or "",
        owner_id=provider.account_id,
        price_per_hour_sar=price_per_hour_sar(plane, provider),
        probe_outcome=to_value(provider.probe_outcome),
        **hardware_fields(provider),
        hardware_notice=to_value(provider.hardware_notice),
        hardware_notice_ar=_notice_ar(provider),
        gpus=to_value(shown_cards(provider.gpu_status)),
        # The preferences lie flat among the other fields, under the names they have in an answer of their own.
        **{field.name: value for field, value in wishes.ListFields()},
    )


def _notice_ar(provider: Provider) -> str | None:
    return hardware_in_arabic(provider.hardware_notice) if prefers_arabic() else None


def _gpu_metrics(provider: Provider) -> pb.GpuMetrics:
    status = provider.gpu_status
    return pb.GpuMetrics(
        # Zero for what was not reported: clients format these numbers without looking, and null would break them.
        utilization_pct=metric_of(status, "gpu_util_pct") or 0,
        vram_used_mib=vram_used_mib(status, provider.vram_mib),
        temperature_c=metric_of(status, "temp_c") or 0,
    )


def _active_job(plane: ControlPlane, provider: Provider) -> Value:
    running = [lease.assignment.job for lease in plane.leases.of_provider(provider.id) if lease.running]
    return to_value(message_json(provider_job(running[-1]))) if running else NULL


def preferences_message(preferences: Preferences) -> pb.ProviderPreferences:
    """Return when and how far a machine may be used."""
    return pb.ProviderPreferences(
        run_mode=preferences.run_mode,
        scheduled_start=to_value(preferences.scheduled_start),
        scheduled_end=to_value(preferences.scheduled_end),
        gpu_usage_cap_pct=to_value(preferences.gpu_usage_cap_pct),
        vram_reserve_gb=to_value(preferences.vram_reserve_gb),
        temp_limit_c=to_value(preferences.temp_limit_c),
        ask=preferences.ask_pct / HUNDRED,
    )


def provider_job(job: JobRow) -> pb.ProviderJob:
    """Return a job as its provider's lists show it."""
    return pb.ProviderJob(
        id=job.id,
        job_id=job.job_id,
        job_type=job.job_type,
        status=job.status,
        submitted_at=iso(job.submitted_at_ms),
        completed_at=time_value(job.completed_at_ms),
        earned_halala=job.earned_halala,
    )


def admin_provider(provider: Provider, status: ProviderStatus, speeds: EngineSpeeds) -> AdminProvider:
    """Return one line of the list of providers."""
    shown = AdminProvider(
        **hardware_fields(provider),
        hardware_notice=to_value(provider.hardware_notice),
        engine_speeds=_speeds(provider, speeds),
    )
    _fill(shown, provider, status)
    return shown


def inspected_provider(
    provider: Provider, row: ProviderRow, earned: Earnings, now_ms: int, status: ProviderStatus, speeds: EngineSpeeds
) -> InspectedProvider:
    """Return everything that is known of a provider; `row` is its account as it is stored."""
    shown = InspectedProvider(
        os=provider.os,
        # From the row: the server has no use for it and does not keep it in memory.
        phone=to_value(row.phone),
        location=to_value(provider.location),
        approved_at=time_value(provider.approved_at_ms),
        rejected_reason=to_value(provider.rejected_reason),
        is_paused=Pause.OWNER in provider.pauses,
        is_drained=Pause.ADMIN in provider.pauses,
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
        promo_earnings_halala=earned.promo_halala,
        total_jobs=provider.completed_jobs,
        claimed_gpu_model=to_value(provider.registered_gpu_model or None),
        probe_outcome=to_value(provider.probe_outcome),
        **hardware_fields(provider),
        hardware_notice=to_value(provider.hardware_notice),
        hardware_notice_ar=_notice_ar(provider),
        gpus=to_value(shown_cards(provider.gpu_status)),
        engine_speeds=_speeds(provider, speeds),
    )
    _fill(shown, provider, status)
    return shown


def _speeds(provider: Provider, speeds: EngineSpeeds) -> list[EngineSpeed]:
    known = speeds.of_provider(provider.id, provider.models)
    return [EngineSpeed(model=model, **speed_fields(figures), calls=figures.calls) for model, figures in known.items()]


def _fill(shown: AdminProvider | InspectedProvider, provider: Provider, status: ProviderStatus) -> None:
    shown.id = provider.id
    shown.owner_id = provider.account_id
    shown.name = provider.name
    shown.email = provider.email
    shown.gpu_model.CopyFrom(to_value(provider.gpu_model or None))
    shown.gpu_type = provider.gpu_name or ""
    shown.vram_mib = provider.vram_mib or 0
    shown.gpu_count = provider.gpu_count
    shown.status = status
    shown.approval_status = provider.approval
    shown.last_heartbeat.CopyFrom(time_value(provider.presence.last_heartbeat_ms))
    shown.daemon_version.CopyFrom(to_value(provider.facts.daemon_version))
    shown.slots_used = provider.occupied
    shown.created_at = iso(provider.created_at_ms)


def hardware_fields(provider: Provider) -> dict[str, Any]:
    """Return whose word on a machine's GPU every list shows, and what was proved of it."""
    measured, performance = provider.measured, provider.performance
    return {
        "gpu_source": provider.gpu_source,
        "tops_int8": to_value(None if measured is None else measured.tops_int8),
        "memory_gbps": to_value(None if measured is None else measured.memory_gbps),
        "probed_at": time_value(None if measured is None else measured.probed_at_ms),
        "performance": to_value(None if performance is None else performance.value),
        "verification": to_value(None if provider.mismatch is None else MISMATCH),
    }


def price_per_hour_sar(plane: ControlPlane, provider: Provider) -> float:
    """Return the one price of a machine that lists have room for."""
    return halala_to_sar(plane.catalog.hour_halala(provider))


def public_fields(plane: ControlPlane, provider: Provider) -> dict[str, Any]:
    """Return the fields that every public list of providers has."""
    now_ms = plane.clock.now_ms()
    facts = provider.facts
    status = provider.status(now_ms, plane.fleet.thresholds)
    prices = plane.fleet.prices
    return {
        "id": provider.id,
        "owner_id": provider.account_id,
        "name": provider.name,
        "gpu_model": provider.gpu_model,
        "gpu_type": provider.gpu_name or "",
        **hardware_fields(provider),
        "vram_gb": vram_gb(provider.vram_mib or 0),
        "vram_mib": provider.vram_mib or 0,
        "gpu_count": provider.gpu_count,
        "driver_version": facts.driver_version or "",
        "compute_capability": facts.compute_capability or "",
        "cuda_version": facts.cuda_version or "",
        "status": status,
        "is_live": status is ProviderStatus.ONLINE,
        "location": provider.location or "",
        "reliability_score": provider.reputation(now_ms),
        "cached_models": provider.models,
        "price_per_hour_sar": price_per_hour_sar(plane, provider),
        "gpu_factor": provider.factor_pct(prices) / HUNDRED,
        "ask": prices.bounds.within(provider.preferences.ask_pct) / HUNDRED,
    }
