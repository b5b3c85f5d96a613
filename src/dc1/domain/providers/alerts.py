"""Alerts tell what is wrong with a provider that should be at work."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.base.clock import DAY_MS
from dc1.domain.providers.liveness import Channel, Liveness, Presence, Thresholds, liveness

HOT_C = 85
"""Temperature from which a GPU is too hot, in °C."""

MANY_FAILURES = 3
"""Jobs failed within a day from which a provider is failing."""

MANY_RESTARTS = 3
"""Restarts of the daemon's container from which something is wrong with it."""


LASTING_MS = 300_000
"""How long a machine is gone before somebody is told: a restart or an update takes less."""


class AlertReason(StrEnum):
    """What is wrong."""

    PROVIDER_OFFLINE = "PROVIDER_OFFLINE"
    PROVIDER_DEGRADED = "PROVIDER_DEGRADED"
    GPU_HOT = "GPU_HOT"
    DAEMON_OUTDATED = "DAEMON_OUTDATED"
    JOBS_FAILING = "JOBS_FAILING"
    CONTAINER_RESTARTING = "CONTAINER_RESTARTING"
    KEY_SHARED = "KEY_SHARED"
    GPU_LOST = "GPU_LOST"
    GPU_ERRORS = "GPU_ERRORS"
    FAULTS_OUTLIER = "FAULTS_OUTLIER"
    INSTANT_RUNS = "INSTANT_RUNS"
    GPU_MISMATCH = "GPU_MISMATCH"
    BELOW_MODEL = "BELOW_MODEL"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a provider. `failed_jobs` are those of the last day, the first of them at `first_failure_ms`."""

    presence: Presence
    temp_c: float | None = None
    needs_update: bool = False
    restarts: int = 0
    failed_jobs: int = 0
    first_failure_ms: int = 0
    second_daemon_at_ms: int | None = None
    gpu_lost: bool = False
    gpu_errors: str | None = None
    faults_stand_out_since_ms: int | None = None
    instant_runs_since_ms: int | None = None
    mismatch_at_ms: int | None = None
    below_model_at_ms: int | None = None
    hardware_notice: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong, and since when; what a heartbeat told is known since the last one.

    `detail` says more of it in words, None where there is no more to say.
    """

    reason: AlertReason
    since_ms: int
    detail: str | None = None


def alerts(provider: Watched, now_ms: int, thresholds: Thresholds) -> Iterator[Alert]:
    """Yield what is wrong with a provider; nothing is wrong with the daemon of one that was never heard."""
    heard_ms = provider.presence.last_heartbeat_ms
    if provider.failed_jobs >= MANY_FAILURES:
        yield Alert(AlertReason.JOBS_FAILING, provider.first_failure_ms)
    # Also of a provider that is gone: the one that is not there may be the owner's.
    if (shared_ms := lately(provider.second_daemon_at_ms, now_ms)) is not None:
        yield Alert(AlertReason.KEY_SHARED, shared_ms)
    yield from _run_alerts(provider)
    yield from _hardware_alerts(provider)
    if heard_ms is None:
        return
    present = liveness(provider.presence, now_ms, thresholds)
    # What it reported last says nothing of a machine that is gone.
    if present is Liveness.OFFLINE:
        yield Alert(AlertReason.PROVIDER_OFFLINE, _lost_ms(provider.presence, heard_ms, thresholds))
        return
    if present is Liveness.DEGRADED:
        yield Alert(AlertReason.PROVIDER_DEGRADED, heard_ms + thresholds.online_seconds * 1000)
    if provider.temp_c is not None and provider.temp_c >= HOT_C:
        yield Alert(AlertReason.GPU_HOT, heard_ms)
    if provider.gpu_lost:
        yield Alert(AlertReason.GPU_LOST, heard_ms)
    if provider.gpu_errors is not None:
        yield Alert(AlertReason.GPU_ERRORS, heard_ms, provider.gpu_errors)
    if provider.needs_update:
        yield Alert(AlertReason.DAEMON_OUTDATED, heard_ms)
    if provider.restarts >= MANY_RESTARTS:
        yield Alert(AlertReason.CONTAINER_RESTARTING, heard_ms)


def _run_alerts(provider: Watched) -> Iterator[Alert]:
    if provider.faults_stand_out_since_ms is not None:
        yield Alert(AlertReason.FAULTS_OUTLIER, provider.faults_stand_out_since_ms)
    if provider.instant_runs_since_ms is not None:
        yield Alert(AlertReason.INSTANT_RUNS, provider.instant_runs_since_ms)


def _hardware_alerts(provider: Watched) -> Iterator[Alert]:
    # Whether it is there or not: it waits for an admin.
    if provider.mismatch_at_ms is not None:
        yield Alert(AlertReason.GPU_MISMATCH, provider.mismatch_at_ms, provider.hardware_notice)
    elif provider.below_model_at_ms is not None:
        yield Alert(AlertReason.BELOW_MODEL, provider.below_model_at_ms, provider.hardware_notice)


def is_worth_telling(alert: Alert, now_ms: int) -> bool:
    """Tell whether people are told of an alert who do not look: not while it may pass, nor of what is old news."""
    age_ms = now_ms - alert.since_ms
    may_pass = alert.reason in {AlertReason.PROVIDER_OFFLINE, AlertReason.PROVIDER_DEGRADED}
    return age_ms < DAY_MS and not (may_pass and age_ms < LASTING_MS)


def lately(at_ms: int | None, now_ms: int) -> int | None:
    """Return a time of the last day, for what is told as long as that; None for an older one."""
    return at_ms if at_ms is not None and now_ms - at_ms < DAY_MS else None


def _lost_ms(presence: Presence, heard_ms: int, thresholds: Thresholds) -> int:
    if presence.signed_off:
        return heard_ms
    if presence.channel is Channel.STREAM:
        return (presence.stream_lost_ms or heard_ms) + thresholds.stream_grace_seconds * 1000
    return heard_ms + thresholds.offline_seconds * 1000
