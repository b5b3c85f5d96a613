"""What the operator chose, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from dc1 import defaults
from dc1.domain.access.call_limits import NO_LIMITS, CallLimits
from dc1.domain.money.machine_prices import DEFAULT_BOUNDS, AskBounds
from dc1.domain.money.pricing import CLASS_MULTIPLIERS, PricingClass
from dc1.domain.providers.liveness import Thresholds
from dc1.storage.jobs.submission import SubmissionLimits


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Terms of trade and timers; the defaults are the documented ones. Seconds unless the name says otherwise.

    `token_prices` are halala per million tokens by the model's name in lower case, `token_price_halala` that of all
    others.
    """

    limits: SubmissionLimits = field(default_factory=SubmissionLimits)
    thresholds: Thresholds = field(default_factory=Thresholds)
    class_multipliers: Mapping[PricingClass, Decimal] = field(default_factory=lambda: dict(CLASS_MULTIPLIERS))
    ask_bounds: AskBounds = DEFAULT_BOUNDS
    fee_bps: int = defaults.PLATFORM_FEE_BPS
    token_price_halala: int = defaults.TOKEN_PRICE_HALALA
    token_prices: Mapping[str, int] = field(default_factory=dict)
    call_limits: CallLimits = NO_LIMITS
    completion_timeout_seconds: int = defaults.COMPLETION_TIMEOUT_SECONDS
    completion_queue_seconds: float = defaults.COMPLETION_QUEUE_SECONDS
    completion_max_bytes: int = defaults.COMPLETION_MAX_BYTES
    starter_credit_halala: int = defaults.STARTER_CREDIT_HALALA
    topup_enabled: bool = defaults.TOPUP_ENABLED
    image_digests_required: bool = False
    machines_per_owner: int = defaults.MACHINES_PER_OWNER
    withdraw_min_halala: int = defaults.WITHDRAW_MIN_HALALA
    max_duration_seconds: int = defaults.MAX_DURATION_SECONDS
    offer_timeout_seconds: float = defaults.OFFER_TIMEOUT_SECONDS
    poll_lease_grace_seconds: float = defaults.POLL_LEASE_GRACE_SECONDS
    key_rotation_grace_seconds: float = defaults.KEY_ROTATION_GRACE_SECONDS
    beat_interval_seconds: float = defaults.BEAT_INTERVAL_SECONDS
    probe_interval_seconds: float = defaults.PROBE_INTERVAL_SECONDS
    daemon_latest_version: str = defaults.DAEMON_LATEST_VERSION
    daemon_min_version: str = defaults.DAEMON_LATEST_VERSION
    installer_base_url: str = defaults.INSTALLER_BASE_URL

    def token_price(self, model: str) -> int:
        """Return the price of a million tokens of a /v1 call, in halala."""
        return self.token_prices.get(model.lower(), self.token_price_halala)
