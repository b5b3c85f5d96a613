"""The market's rules: what things cost, and how much of them one account may have."""

from decimal import Decimal
from typing import Annotated, get_args

from pydantic import BaseModel, Field, PositiveInt, field_validator

from dc1 import defaults
from dc1.defaults import PricingClassName
from dc1.mail_server import MailServer
from dc1.settings.types import JsonTable, Limit, MailAddress, MailUrl, Multiplier, Seconds, TokenPrice


class MarketSettings(BaseModel):
    """Money, prices, limits, and how people are told."""

    starter_credit_halala: int = Field(
        default=defaults.STARTER_CREDIT_HALALA,
        ge=0,
        le=2_000_000_000,
        description="Wallet of a new renter, in halala; 0 in production when unset.",
    )
    platform_fee_bps: int = Field(
        default=defaults.PLATFORM_FEE_BPS, ge=0, le=10_000, description="The platform's share of a charge, in 1/10000."
    )
    class_multipliers: JsonTable[PricingClassName, Multiplier] = Field(
        default=dict(defaults.CLASS_MULTIPLIERS),
        description="Price factor of each pricing class, as a JSON object. Rates by job type are kept in the database.",
    )
    ask_min: Annotated[Decimal, Field(gt=0, le=1, decimal_places=2)] = Field(
        default=defaults.ASK_MIN, description="Least that owners may ask of the usual price."
    )
    ask_max: Decimal = Field(
        default=defaults.ASK_MAX, ge=1, le=10, decimal_places=2, description="Most that they may ask of it."
    )
    token_price_halala: TokenPrice = Field(
        default=defaults.TOKEN_PRICE_HALALA, description="Price of a million tokens of a /v1 call, in halala."
    )
    token_prices: JsonTable[str, TokenPrice] = Field(
        default={}, description="The same by model, as a JSON object; models that are not in it have the price above."
    )
    # Not of the market: one renter's agents must not take what others came for.
    completion_requests_per_minute: Limit = Field(default=600, description="Calls of a renter in a minute; any when 0.")
    completion_tokens_per_minute: Limit = Field(default=2_000_000, description="Tokens of a renter, likewise.")
    completion_streams: Limit = Field(default=100, description="Streamed calls of a renter at a time, likewise.")
    # With the wait that follows less than 600 s, after which the edge ends calls that are silent.
    completion_timeout_seconds: int = Field(
        default=defaults.COMPLETION_TIMEOUT_SECONDS, ge=1, le=540, description="How long a /v1 call may run."
    )
    completion_queue_seconds: Seconds = Field(
        default=defaults.COMPLETION_QUEUE_SECONDS, le=60, description="How long a call waits for a free provider."
    )
    completion_max_bytes: Annotated[int, Field(ge=1024, le=defaults.COMPLETION_MAX_BYTES)] = Field(
        default=defaults.COMPLETION_MAX_BYTES, description="Largest body of a /v1 call."
    )
    quota_daily_jobs: PositiveInt = Field(default=defaults.QUOTA_DAILY_JOBS, description="Jobs of a renter a day.")
    quota_monthly_halala: PositiveInt = Field(
        default=defaults.QUOTA_MONTHLY_HALALA, description="Spend of one renter in a UTC month, in halala."
    )
    topup_enabled: bool = Field(
        default=defaults.TOPUP_ENABLED,
        description="Whether renters may top up without a payment; not in production when unset.",
    )
    image_digests_required: bool = Field(
        default=False,
        description="Whether jobs may name only images that were approved with their digests; so in production when unset.",
    )
    machines_per_owner: PositiveInt = Field(default=defaults.MACHINES_PER_OWNER, description="Machines of an owner.")
    withdraw_min_halala: PositiveInt = Field(
        default=defaults.WITHDRAW_MIN_HALALA, description="Smallest withdrawal, in halala."
    )
    sar_per_usd: Decimal = Field(default=Decimal("3.75"), gt=0, description="SAR for one US dollar.")
    webhook_allow_private: bool = Field(
        default=False, description="Whether webhooks may go to addresses that are not public."
    )
    # Beside the two, nothing: what else there is to a mail server stands in its address.
    smtp_url: MailUrl | None = Field(
        default=None,
        description="Mail server of notifications, `smtps://user:password@host:465` or `smtp+starttls://…`; without it none go by e-mail.",
    )
    smtp_from: MailAddress | None = Field(default=None, description="Address that these mails are from.")
    balance_low_halala: int = Field(
        default=defaults.BALANCE_LOW_HALALA,
        ge=0,
        description="A submission that takes a wallet below this sends the webhook `balance.low`.",
    )

    @field_validator("class_multipliers")
    @classmethod
    def _complete(cls, value: dict[PricingClassName, Decimal]) -> dict[PricingClassName, Decimal]:
        # Here, at the start: else the first job of a class without a factor would find out.
        missing = [name for name in get_args(PricingClassName) if name not in value]
        if missing:
            raise ValueError(f"must name every class; missing: {', '.join(missing)}")
        return value

    @property
    def mail_server(self) -> MailServer | None:
        """Where notifications are mailed from, None where they are not."""
        if self.smtp_url is None or self.smtp_from is None:
            return None
        return MailServer.of(self.smtp_url.get_secret_value(), self.smtp_from)
