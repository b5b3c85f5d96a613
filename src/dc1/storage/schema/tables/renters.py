"""Renters, the keys that everybody calls with, and what renters are sent and answered."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, false, text

from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import AccountStatus
from dc1.domain.access.webhooks import DeliveryStatus, WebhookEvent
from dc1.storage.schema.columns import (
    PROVIDER_CHOICE,
    TEXTS_OR_NONE_OF_THEM,
    ExactJson,
    PlainText,
    RowId,
    StoredEnum,
    change_stamp,
    counter,
    metadata,
    one_of,
    stamp_index,
    time_column,
)

renters = Table(
    "renters",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", PlainText, nullable=False),
    # In lower case, so that unique means what people take it for.
    Column("email", PlainText, nullable=False, unique=True),
    Column("organization", PlainText),
    Column("phone", PlainText),
    Column("use_case", PlainText),
    Column("webhook_url", PlainText),
    Column("sealed_webhook_secret", Text),
    # The network that the registration came from; compared with those of owners who ask for money.
    Column("registered_from", Text),
    Column("status", StoredEnum(AccountStatus), nullable=False, server_default=AccountStatus.ACTIVE.value),
    time_column("created_at_ms"),
    # When the personal data of a deleted account is erased; None once it is.
    time_column("erase_at_ms", nullable=True),
    counter("total_jobs"),
    counter("completed_jobs"),
    counter("failed_jobs"),
    counter("total_spent_halala"),
    # How much of the wallet is starter credit, and what was paid for with real money less what of it was reversed.
    counter("promo_halala"),
    counter("paid_halala"),
    # What rounding up charged beyond the exact prices of calls: it counts towards the next ones.
    counter("carried_price_micro_halala"),
    # Whether the last halala that was charged was starter credit, as what is carried is a part of it.
    Column("carries_promo", Boolean, nullable=False, server_default=false()),
    # The UTC day and month (their first millisecond) that the two quota counters speak of.
    counter("quota_day_ms"),
    counter("quota_day_jobs"),
    counter("quota_month_ms"),
    counter("quota_month_halala"),
    # What an admin has set for this renter; NULL is the operator's setting.
    Column("monthly_limit_halala", BigInteger),
    Column("daily_jobs_limit", Integer),
    Column("v1_requests_per_minute", Integer),
    Column("v1_tokens_per_minute", Integer),
    Column("v1_streams", Integer),
    # Of which thresholds of the month's limit the renter was told, a bit each.
    counter("told_thresholds"),
    counter("v1_requests"),
    counter("v1_prompt_tokens"),
    counter("v1_completion_tokens"),
    counter("v1_cost_halala"),
    change_stamp(),
    one_of("status", AccountStatus, "status"),
)
stamp_index(renters)
Index("ix_renters_registered_from", renters.c.registered_from)
Index("ix_renters_status_id", renters.c.status, renters.c.id)
_TO_ERASE = text("erase_at_ms IS NOT NULL")
Index("ix_renters_erase_at_ms", renters.c.erase_at_ms, sqlite_where=_TO_ERASE, postgresql_where=_TO_ERASE)

renter_days = Table(
    "renter_days",
    metadata,
    Column("renter_id", BigInteger, ForeignKey("renters.id"), primary_key=True, autoincrement=False),
    Column("day_ms", BigInteger, primary_key=True, autoincrement=False),
    counter("charged_jobs"),
    counter("charged_halala"),
)

usage_days = Table(
    # Of calls under /v1 that were answered, by the day of their end.
    "usage_days",
    metadata,
    Column("renter_id", BigInteger, ForeignKey("renters.id"), primary_key=True, autoincrement=False),
    Column("day_ms", BigInteger, primary_key=True, autoincrement=False),
    # Empty for the master key; a key that is forgotten keeps what it used.
    Column("key_id", PlainText, primary_key=True),
    # In lower case.
    Column("model", PlainText, primary_key=True),
    counter("calls"),
    counter("prompt_tokens"),
    counter("completion_tokens"),
    counter("cached_tokens"),
    counter("halala"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", PlainText, primary_key=True),
    Column("key_hash", Text, nullable=False),
    Column("role", StoredEnum(KeyRole), nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("hint", Text, nullable=False),
    Column("scopes", ExactJson(TEXTS_OR_NONE_OF_THEM)),
    Column("label", PlainText),
    time_column("created_at_ms"),
    time_column("expires_at_ms", nullable=True),
    time_column("revoked_at_ms", nullable=True),
    time_column("last_used_at_ms", nullable=True),
    change_stamp(),
    # Operators have a table of their own, with their tokens.
    one_of("role", (KeyRole.RENTER, KeyRole.PROVIDER, KeyRole.SCOPED), "role"),
)
stamp_index(api_keys)
# A call finds its key by the primary key; this one is for the owner's lists.
Index("ix_api_keys_owner_id_role", api_keys.c.owner_id, api_keys.c.role)
_EXPIRING = text("expires_at_ms IS NOT NULL")
Index("ix_api_keys_expires_at_ms", api_keys.c.expires_at_ms, sqlite_where=_EXPIRING, postgresql_where=_EXPIRING)
# For the purge of what was stopped long ago.
_REVOKED = text("revoked_at_ms IS NOT NULL")
Index("ix_api_keys_revoked_at_ms", api_keys.c.revoked_at_ms, sqlite_where=_REVOKED, postgresql_where=_REVOKED)

# Only those of keys that were given a budget or have spent anything.
key_budgets = Table(
    "key_budgets",
    metadata,
    Column("key_id", PlainText, ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
    # NULL is no budget.
    Column("monthly_halala", BigInteger),
    # The UTC month (its first millisecond) that the two below speak of.
    counter("month_ms"),
    counter("month_halala"),
    counter("told_thresholds"),
)

key_limits = Table(
    "key_limits",
    metadata,
    Column("key_id", PlainText, ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
    # NULL is no limit of the key's own.
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", Integer),
    Column("streams", Integer),
    # In lower case; NULL is every model.
    Column("models", ExactJson(TEXTS_OR_NONE_OF_THEM)),
    # NULL is every provider.
    Column("provider_choice", ExactJson(PROVIDER_CHOICE)),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("renter_id", BigInteger, ForeignKey("renters.id"), nullable=False),
    Column("job_id", BigInteger, ForeignKey("jobs.id")),
    Column("event", StoredEnum(WebhookEvent), nullable=False),
    Column("url", PlainText, nullable=False),
    Column("body", PlainText, nullable=False),
    Column("status", StoredEnum(DeliveryStatus), nullable=False, server_default=DeliveryStatus.PENDING.value),
    counter("attempts"),
    Column("response_status", Integer),
    Column("error", PlainText),
    time_column("created_at_ms"),
    time_column("last_attempt_at_ms", nullable=True),
    # When it may be sent; a sender that takes it moves this ahead, so that another one takes it should the first die.
    time_column("next_attempt_at_ms", nullable=True),
    time_column("delivered_at_ms", nullable=True),
    one_of("status", DeliveryStatus, "status"),
)
Index("ix_webhook_deliveries_renter_id_id", webhook_deliveries.c.renter_id, webhook_deliveries.c.id)
# For the purge of what is old.
Index("ix_webhook_deliveries_created_at_ms", webhook_deliveries.c.created_at_ms)
_WAITING = text("next_attempt_at_ms IS NOT NULL")
Index(
    # What has ended leaves the index, so that the outbox stays as small as what waits.
    "ix_webhook_deliveries_next_attempt_at_ms",
    webhook_deliveries.c.next_attempt_at_ms,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)

idempotent_answers = Table(
    "idempotent_answers",
    metadata,
    Column("account", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", PlainText, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    time_column("expires_at_ms"),
)
Index("ix_idempotent_answers_expires_at_ms", idempotent_answers.c.expires_at_ms)
