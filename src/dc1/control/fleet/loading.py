"""The fleet as it was stored."""

from collections.abc import Collection

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.base.clock import Clock
from dc1.domain.gpus.card_record import CardRecord
from dc1.domain.jobs.states import COMPUTE_TYPES
from dc1.domain.providers.liveness import NO_PAUSE, Channel, Pause, Presence
from dc1.domain.providers.measurements import Device, Measurement
from dc1.domain.providers.model_abilities import KnownAbilities
from dc1.domain.providers.preferences import Preferences
from dc1.domain.providers.reports import Facts
from dc1.domain.providers.reputation import RunRecord
from dc1.storage.engine.database import Database
from dc1.storage.providers import providers
from dc1.storage.providers.providers import NO_CHANNEL, ProviderRow


async def load_fleet(db: Database, clock: Clock, fleet: Fleet, replicas: Collection[str] = ()) -> None:
    """Read every provider account into the fleet; `replicas` are the other servers that live."""
    now_ms = clock.now_ms()
    rows = await db.read(providers.load_all)
    beats = await db.read(lambda conn: providers.load_recent_heartbeats(conn, now_ms))
    fleet.add_all(provider_from_row(row, beats.get(row.id, 0), replicas=replicas) for row in rows)


def provider_from_row(row: ProviderRow, beats_of_week: int = 0, *, replicas: Collection[str] = ()) -> Provider:
    """Return a stored account as the running server knows it; `replicas` are the other servers that live."""
    # A replica that does not live holds no stream, whatever it could not store any more when it died.
    elsewhere = row.stream_replica if row.stream_replica in replicas else None
    presence = Presence(
        channel=Channel.STREAM if row.channel == Channel.STREAM else Channel.POST,
        last_heartbeat_ms=row.last_heartbeat_ms,
        stream_open=elsewhere is not None,
        stream_lost_ms=row.stream_lost_ms if row.stream_replica is None else None,
        signed_off=row.channel == NO_CHANNEL and row.last_heartbeat_ms is not None,
    )
    return Provider(
        id=row.id,
        owner_id=row.owner_id,
        name=row.name,
        email=row.email,
        registered_gpu_model=row.gpu_model,
        os=row.os,
        created_at_ms=row.created_at_ms,
        location=row.location,
        approval=row.approval_status,
        approved_at_ms=row.approved_at_ms,
        rejected_reason=row.rejected_reason,
        suspended=row.is_suspended or row.owner_suspended or row.deleted_at_ms is not None,
        pauses=(Pause.OWNER if row.is_paused else NO_PAUSE) | (Pause.ADMIN if row.is_drained else NO_PAUSE),
        deleted=row.deleted_at_ms is not None,
        preferences=_preferences(row),
        preload_model=row.preload_model,
        compute_types=frozenset(row.supported_compute_types or COMPUTE_TYPES),
        facts=Facts(
            gpu_name=row.gpu_name,
            vram_mib=row.vram_mib,
            gpu_count=row.gpu_count,
            driver_version=row.driver_version,
            cuda_version=row.cuda_version,
            compute_capability=row.compute_capability,
            daemon_version=row.daemon_version,
        ),
        hardware_reported=row.hardware_reported,
        measurement=_measurement(row),
        mismatch=row.mismatch,
        mismatch_at_ms=row.mismatch_at_ms,
        accepted_hardware=row.accepted_hardware,
        gpu_status=row.gpu_status,
        cards=CardRecord(row.gpu_status, row.load_clocks),
        cached_models=tuple(row.cached_models or ()),
        vllm_models=tuple(row.vllm_models or ()),
        job_types=None if row.job_types is None else frozenset(row.job_types),
        inference_slots=row.inference_slots,
        carries_bodies=row.carries_bodies,
        abilities=KnownAbilities.stored(row.model_abilities),
        resource_spec=row.resource_spec,
        model_cache=row.model_cache,
        container_restart_count=row.container_restart_count,
        provider_ip=row.provider_ip,
        provider_hostname=row.provider_hostname,
        presence=presence,
        stream_replica=elsewhere,
        stream_instance=row.stream_instance,
        second_daemon_at_ms=row.second_daemon_at_ms,
        completed_jobs=row.completed_jobs,
        failed_jobs=row.failed_jobs,
        record=RunRecord(row.recent_completed, row.recent_failed, row.weighed_runs),
        beats_of_week=beats_of_week,
    )


def _measurement(row: ProviderRow) -> Measurement | None:
    """Return what was last proved of the machine."""
    if row.tops_int8 is None or row.memory_gbps is None or row.probed_device is None or row.probed_at_ms is None:
        return None
    by_integers = bool(row.integer_products)
    device = Device(row.probed_device)
    return Measurement(row.tops_int8, row.memory_gbps, device, row.probed_at_ms, by_integers, row.probe_slowed_by)


def _preferences(row: ProviderRow) -> Preferences:
    """Return when and how far the owner lets the machine be used."""
    return Preferences(
        run_mode=row.run_mode,
        scheduled_start=row.scheduled_start,
        scheduled_end=row.scheduled_end,
        gpu_usage_cap_pct=row.gpu_usage_cap_pct,
        vram_reserve_gb=row.vram_reserve_gb,
        temp_limit_c=row.temp_limit_c,
        ask_pct=row.ask_pct,
    )
