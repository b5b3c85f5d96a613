"""What the operator chose, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from dc1.domain.money.pricing import (
    CLASS_MULTIPLIERS,
    DEFAULT_PLATFORM_FEE_BPS,
    DEFAULT_TOKEN_PRICE_HALALA,
    PricingClass,
)
from dc1.domain.providers.liveness import Thresholds
from dc1.storage.jobs.submission import SubmissionLimits


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Terms of trade and timers; the defaults are the documented ones. Seconds unless the name says otherwise.

    `token_prices` are halala per million tokens by the model's name in lower case, `token_price_halala` that of all others.
    """

    limits: SubmissionLimits = field(default_factory=SubmissionLimits)
    thresholds: Thresholds = field(default_factory=Thresholds)
    class_multipliers: Mapping[PricingClass, Decimal] = field(default_factory=lambda: dict(CLASS_MULTIPLIERS))
    fee_bps: int = DEFAULT_PLATFORM_FEE_BPS
    token_price_halala: int = DEFAULT_TOKEN_PRICE_HALALA
    token_prices: Mapping[str, int] = field(default_factory=dict)
    completion_timeout_seconds: int = 300
    starter_credit_halala: int = 1000
    topup_enabled: bool = True
    withdraw_min_halala: int = 1000
    idempotency_ttl_seconds: int = 24 * 3600
    offer_timeout_seconds: float = 15
    poll_lease_grace_seconds: float = 120
    key_rotation_grace_seconds: float = 600
    beat_interval_seconds: float = 10
    daemon_latest_version: str = "3.3.0"
    daemon_min_version: str = "3.3.0"
    installer_base_url: str = "http://localhost:8083"

    def token_price(self, model: str) -> int:
        """Return the price of a million tokens of a /v1 call, in halala."""
        return self.token_prices.get(model.lower(), self.token_price_halala)
