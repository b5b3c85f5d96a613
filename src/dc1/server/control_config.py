"""The settings that the layers below the server follow, as they take them."""

from dc1.control.config import ControlConfig
from dc1.domain.access.call_limits import NO_LIMITS, CallLimits
from dc1.domain.money.machine_prices import HUNDRED, AskBounds
from dc1.domain.money.pricing import PricingClass
from dc1.domain.providers.liveness import Thresholds
from dc1.settings.settings import Settings
from dc1.storage.jobs.submission import SubmissionLimits


def control_config(settings: Settings) -> ControlConfig:
    """Return what the operator chose, as the layers below the server take it."""
    return ControlConfig(
        limits=SubmissionLimits(
            daily_jobs=settings.quota_daily_jobs,
            monthly_halala=settings.quota_monthly_halala,
            queue_deadline_seconds=round(settings.queue_deadline_seconds),
            max_retries=settings.max_retries,
            balance_low_halala=settings.balance_low_halala,
        ),
        thresholds=Thresholds(
            online_seconds=settings.online_seconds,
            offline_seconds=settings.offline_seconds,
            stream_grace_seconds=settings.stream_grace_seconds,
        ),
        class_multipliers={PricingClass(name): factor for name, factor in settings.class_multipliers.items()},
        ask_bounds=AskBounds(int(settings.ask_min * HUNDRED), int(settings.ask_max * HUNDRED)),
        fee_bps=settings.platform_fee_bps,
        starter_credit_halala=settings.starter_credit_halala,
        topup_enabled=settings.topup_enabled,
        image_digests_required=settings.image_digests_required,
        machines_per_owner=settings.machines_per_owner,
        withdraw_min_halala=settings.withdraw_min_halala,
        max_duration_seconds=settings.max_duration_seconds,
        offer_timeout_seconds=settings.offer_timeout_seconds,
        poll_lease_grace_seconds=settings.poll_lease_grace_seconds,
        key_rotation_grace_seconds=settings.key_rotation_grace_seconds,
        probe_interval_seconds=settings.probe_interval_seconds,
        beat_interval_seconds=settings.beat_interval_seconds,
        token_price_halala=settings.token_price_halala,
        token_prices={model.lower(): price for model, price in settings.token_prices.items()},
        call_limits=_call_limits(settings),
        completion_timeout_seconds=settings.completion_timeout_seconds,
        completion_queue_seconds=settings.completion_queue_seconds,
        completion_max_bytes=settings.completion_max_bytes,
        daemon_latest_version=settings.daemon_latest_version,
        daemon_min_version=settings.resolved_daemon_min_version,
        installer_base_url=settings.resolved_installer_base_url,
    )


def _call_limits(settings: Settings) -> CallLimits:
    # Where nobody is limited, keys are held to what their owners said all the same.
    if not settings.rate_limits_enabled:
        return NO_LIMITS
    return CallLimits(
        settings.completion_requests_per_minute or None,
        settings.completion_tokens_per_minute or None,
        settings.completion_streams or None,
    )
