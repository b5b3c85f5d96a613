"""Renters, providers and the keys they call with."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text, false, text

from dc1.storage.schema.columns import (
    ExactJson,
    PlainText,
    RowId,
    change_stamp,
    counter,
    one_of,
    stamp_index,
    time_column,
)
from dc1.storage.schema.tables.base import metadata

renters = Table(
    "renters",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("email", PlainText, nullable=False, unique=True),
    Column("organization", PlainText),
    Column("phone", PlainText),
    Column("use_case", PlainText),
    Column("webhook_url", PlainText),
    Column("sealed_webhook_secret", Text),
    Column("status", Text, nullable=False, server_default="active"),
    time_column("created_at_ms"),
    # When the personal data of a deleted account is erased; None once it is.
    time_column("erase_at_ms", nullable=True),
    counter("total_jobs"),
    counter("completed_jobs"),
    counter("failed_jobs"),
    counter("total_spent_halala"),
    # The UTC day and month (their first millisecond) that the two quota counters speak of.
    counter("quota_day_ms"),
    counter("quota_day_jobs"),
    counter("quota_month_ms"),
    counter("quota_month_halala"),
    counter("v1_requests"),
    counter("v1_prompt_tokens"),
    counter("v1_completion_tokens"),
    counter("v1_cost_halala"),
    change_stamp(),
    one_of("status", ("active", "suspended", "deleted"), "status"),
)
stamp_index(renters)
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

providers = Table(
    "providers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("email", PlainText, nullable=False, unique=True),
    Column("gpu_model", PlainText, nullable=False),
    Column("os", Text, nullable=False),
    Column("phone", PlainText),
    Column("location", PlainText),
    time_column("created_at_ms"),
    time_column("deleted_at_ms", nullable=True),
    # When the personal data of a deleted account is erased; None once it is.
    time_column("erase_at_ms", nullable=True),
    Column("approval_status", Text, nullable=False, server_default="pending"),
    time_column("approved_at_ms", nullable=True),
    Column("rejected_reason", PlainText),
    Column("is_suspended", Boolean, nullable=False, server_default=false()),
    Column("is_paused", Boolean, nullable=False, server_default=false()),
    Column("run_mode", Text, nullable=False, server_default="always-on"),
    Column("scheduled_start", Text),
    Column("scheduled_end", Text),
    Column("gpu_usage_cap_pct", Float),
    Column("vram_reserve_gb", Float),
    Column("temp_limit_c", Float),
    Column("supported_compute_types", ExactJson),
    Column("preload_model", PlainText),
    time_column("preload_requested_at_ms", nullable=True),
    # What the daemon reported last; until then vram_mib and resource_spec are what registration declared.
    Column("gpu_name", PlainText),
    Column("vram_mib", Integer),
    Column("gpu_count", Integer),
    Column("driver_version", PlainText),
    Column("cuda_version", PlainText),
    Column("compute_capability", PlainText),
    Column("daemon_version", PlainText),
    Column("provider_ip", PlainText),
    Column("provider_hostname", PlainText),
    Column("container_restart_count", Integer),
    Column("cached_models", ExactJson),
    Column("vllm_models", ExactJson),
    Column("job_types", ExactJson),
    Column("gpu_status", ExactJson),
    Column("model_cache", ExactJson),
    Column("resource_spec", ExactJson),
    Column("channel", Text, nullable=False, server_default="none"),
    time_column("last_heartbeat_ms", nullable=True),
    time_column("stream_lost_ms", nullable=True),
    # Which server holds the daemon's stream, and since when; None while no stream is open.
    Column("stream_replica", Text),
    time_column("stream_opened_ms", nullable=True),
    counter("heartbeats_received"),
    counter("completed_jobs"),
    counter("failed_jobs"),
    counter("total_earned_halala"),
    change_stamp(),
    one_of("approval_status", ("pending", "approved", "rejected"), "approval_status"),
    one_of("channel", ("none", "post", "stream"), "channel"),
    one_of("run_mode", ("always-on", "manual", "scheduled"), "run_mode"),
)
stamp_index(providers)
Index("ix_providers_approval_status_id", providers.c.approval_status, providers.c.id)
Index("ix_providers_erase_at_ms", providers.c.erase_at_ms, sqlite_where=_TO_ERASE, postgresql_where=_TO_ERASE)

provider_days = Table(
    "provider_days",
    metadata,
    Column("provider_id", BigInteger, ForeignKey("providers.id"), primary_key=True, autoincrement=False),
    Column("day_ms", BigInteger, primary_key=True, autoincrement=False),
    counter("heartbeats"),
    counter("settled_jobs"),
    counter("earned_halala"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", PlainText, primary_key=True),
    Column("key_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("hint", Text, nullable=False),
    Column("scopes", ExactJson),
    Column("label", PlainText),
    time_column("created_at_ms"),
    time_column("expires_at_ms", nullable=True),
    time_column("revoked_at_ms", nullable=True),
    time_column("last_used_at_ms", nullable=True),
    change_stamp(),
    one_of("role", ("renter", "provider", "sk"), "role"),
)
stamp_index(api_keys)
Index("ix_api_keys_owner_id_role", api_keys.c.owner_id, api_keys.c.role)
_EXPIRING = text("expires_at_ms IS NOT NULL")
Index("ix_api_keys_expires_at_ms", api_keys.c.expires_at_ms, sqlite_where=_EXPIRING, postgresql_where=_EXPIRING)

replicas = Table(
    "replicas",
    metadata,
    Column("replica_id", Text, primary_key=True),
    time_column("expires_at_ms"),
)
