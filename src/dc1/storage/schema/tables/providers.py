"""Providers, the decisions on them, and what their daemons report and have to prove."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    Table,
    Text,
    false,
    func,
    text,
)

from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.preferences import RunMode
from dc1.domain.providers.reports import EventSeverity
from dc1.storage.schema.columns import (
    NUMBERS,
    OBJECT,
    TEXTS,
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

providers = Table(
    "providers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", PlainText, nullable=False),
    # Of an owner. A further machine has one that belongs to nobody; its owner's counts.
    Column("email", PlainText, nullable=False, unique=True),
    # Whose wallet its earnings go to; NULL for an owner's account, which is also its first machine.
    Column("owner_id", BigInteger),
    Column("gpu_model", PlainText, nullable=False),
    Column("os", Text, nullable=False),
    Column("phone", PlainText),
    Column("location", PlainText),
    # The network that the registration came from.
    Column("registered_from", Text),
    time_column("created_at_ms"),
    time_column("deleted_at_ms", nullable=True),
    # When the personal data of a deleted account is erased; None once it is.
    time_column("erase_at_ms", nullable=True),
    Column("approval_status", StoredEnum(Approval), nullable=False, server_default=Approval.PENDING.value),
    time_column("approved_at_ms", nullable=True),
    Column("rejected_reason", PlainText),
    Column("is_suspended", Boolean, nullable=False, server_default=false()),
    # That of the owner, beside the machine's own, so that each is lifted by itself.
    Column("owner_suspended", Boolean, nullable=False, server_default=false()),
    Column("is_paused", Boolean, nullable=False, server_default=false()),
    # By an admin, beside the owner's own, so that neither ends the other's.
    Column("is_drained", Boolean, nullable=False, server_default=false()),
    Column("run_mode", StoredEnum(RunMode), nullable=False, server_default=RunMode.ALWAYS_ON.value),
    Column("scheduled_start", Text),
    Column("scheduled_end", Text),
    Column("gpu_usage_cap_pct", Float),
    Column("vram_reserve_gb", Float),
    Column("temp_limit_c", Float),
    # What the owner asks, in hundredths of the usual price.
    Column("ask_pct", Integer, nullable=False, server_default="100"),
    Column("supported_compute_types", ExactJson(TEXTS)),
    Column("preload_model", PlainText),
    time_column("preload_requested_at_ms", nullable=True),
    # What the daemon reported last; until it said anything of the GPU, vram_mib, gpu_count and resource_spec are what
    # the owner declared. Once it has, a machine without all three has no GPU.
    Column("hardware_reported", Boolean, nullable=False, server_default=false()),
    # What a probe proved last: trillion integer operations and gigabytes a second, of its GPU or its CPU.
    Column("tops_int8", Float),
    Column("memory_gbps", Float),
    Column("probed_device", Text),
    Column("integer_products", Boolean),
    time_column("probed_at_ms", nullable=True),
    Column("probe_slowed_by", PlainText),
    # What its GPU cannot be, until an admin decides; and the hardware that one has decided to be right.
    Column("mismatch", PlainText),
    time_column("mismatch_at_ms", nullable=True),
    Column("accepted_hardware", PlainText),
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
    Column("cached_models", ExactJson(TEXTS)),
    Column("vllm_models", ExactJson(TEXTS)),
    Column("job_types", ExactJson(TEXTS)),
    # How many /v1 calls its engine takes at once; 0 of a daemon that does not say.
    counter("inference_slots"),
    # Whether the daemon passes on what its engine says of a call as it is.
    Column("carries_bodies", Boolean, nullable=False, server_default=false()),
    # What its daemon says of each model, by the name in lower case.
    Column("model_abilities", ExactJson(OBJECT)),
    Column("gpu_status", ExactJson(OBJECT)),
    # Clocks under load, in MHz, by whose median runs are judged.
    Column("load_clocks", ExactJson(NUMBERS)),
    Column("model_cache", ExactJson(OBJECT)),
    Column("resource_spec", ExactJson),
    Column("channel", Text, nullable=False, server_default="none"),
    time_column("last_heartbeat_ms", nullable=True),
    time_column("stream_lost_ms", nullable=True),
    # Which server holds the daemon's stream, and since when; None while no stream is open.
    Column("stream_replica", Text),
    time_column("stream_opened_ms", nullable=True),
    # A digest of the id of the daemon process that opened it.
    Column("stream_instance", Text),
    # When a second daemon with this key was last seen.
    time_column("second_daemon_at_ms", nullable=True),
    counter("heartbeats_received"),
    counter("completed_jobs"),
    counter("failed_jobs"),
    # Ended runs weighed by when they ended; see `dc1.domain.providers.reputation`.
    Column("recent_completed", Float, nullable=False, server_default="0"),
    Column("recent_failed", Float, nullable=False, server_default="0"),
    counter("weighed_runs"),
    counter("total_earned_halala"),
    # What was paid beyond the exact share of what was made, less than nothing where more is due; of calls that were
    # paid with starter credit apart, so that none of it turns into money.
    counter("carried_share_micro_halala"),
    counter("carried_promo_share_micro_halala"),
    change_stamp(),
    one_of("approval_status", Approval, "approval_status"),
    one_of("channel", ("none", "post", "stream"), "channel"),
    one_of("run_mode", RunMode, "run_mode"),
)


def account_id_of(machine: FromClause) -> ColumnElement[Any]:
    """Return whose account a machine belongs to, by its row: the owner's, or its own."""
    return func.coalesce(machine.c.owner_id, machine.c.id)


stamp_index(providers)
# For the approval queue, the longest waiting first.
Index("ix_providers_approval_status_id", providers.c.approval_status, providers.c.id)
_OWNED = text("owner_id IS NOT NULL")
Index("ix_providers_owner_id", providers.c.owner_id, sqlite_where=_OWNED, postgresql_where=_OWNED)
_TO_ERASE = text("erase_at_ms IS NOT NULL")
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

provider_faults = Table(
    # Which renters' runs a provider failed on which day: one renter counts once a day.
    "provider_faults",
    metadata,
    Column("provider_id", BigInteger, ForeignKey("providers.id"), primary_key=True, autoincrement=False),
    Column("renter_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day_ms", BigInteger, primary_key=True, autoincrement=False),
)

approval_decisions = Table(
    "approval_decisions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    time_column("at_ms"),
    Column("actor", Text, nullable=False),
    Column("decision", StoredEnum(Approval), nullable=False),
    Column("reason", PlainText),
    one_of("decision", ("approved", "rejected"), "decision"),
)
Index("ix_approval_decisions_provider_id_id", approval_decisions.c.provider_id, approval_decisions.c.id)

daemon_events = Table(
    "daemon_events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    Column("event_type", PlainText, nullable=False),
    Column("severity", StoredEnum(EventSeverity), nullable=False),
    Column("details", ExactJson),
    time_column("created_at_ms"),
    one_of("severity", EventSeverity, "severity"),
)
Index("ix_daemon_events_created_at_ms", daemon_events.c.created_at_ms)
Index("ix_daemon_events_provider_id_created_at_ms", daemon_events.c.provider_id, daemon_events.c.created_at_ms)

# Every model that an approved provider ever offered, by its name in lower case.
offered_models = Table(
    "offered_models",
    metadata,
    Column("name", PlainText, primary_key=True),
    time_column("first_offered_ms"),
)

provider_minutes = Table(
    "provider_minutes",
    metadata,
    Column("provider_id", BigInteger, ForeignKey("providers.id"), primary_key=True, autoincrement=False),
    Column("minute_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("gpu_util_pct_sum", Float, nullable=False),
    Column("gpu_util_pct_count", Integer, nullable=False),
    Column("temp_c_sum", Float, nullable=False),
    Column("temp_c_count", Integer, nullable=False),
    Column("power_w_sum", Float, nullable=False),
    Column("power_w_count", Integer, nullable=False),
    Column("free_vram_mib_sum", Float, nullable=False),
    Column("free_vram_mib_count", Integer, nullable=False),
)
# For the purge, which goes by time and over all providers.
Index("ix_provider_minutes_minute_ms", provider_minutes.c.minute_ms)
