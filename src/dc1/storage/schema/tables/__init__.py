"""Every table of the schema; the migrations build the same thing, and a test compares the two."""

from dc1.storage.schema.columns import metadata
from dc1.storage.schema.tables.admin import (
    audit_entries,
    clocks,
    container_images,
    gpu_factors,
    prices,
    replicas,
    write_probes,
)
from dc1.storage.schema.tables.jobs import (
    job_attempts,
    job_events,
    job_log_batches,
    job_log_heads,
    job_logs,
    job_results,
    job_specs,
    jobs,
)
from dc1.storage.schema.tables.money import accounts, movements, postings, promo_earnings, totals, withdrawals
from dc1.storage.schema.tables.providers import (
    approval_decisions,
    challenges,
    daemon_events,
    offered_models,
    provider_days,
    provider_faults,
    provider_minutes,
    providers,
)
from dc1.storage.schema.tables.renters import api_keys, idempotent_answers, renter_days, renters, webhook_deliveries

__all__ = [
    "accounts",
    "api_keys",
    "approval_decisions",
    "audit_entries",
    "challenges",
    "clocks",
    "container_images",
    "daemon_events",
    "gpu_factors",
    "idempotent_answers",
    "job_attempts",
    "job_events",
    "job_log_batches",
    "job_log_heads",
    "job_logs",
    "job_results",
    "job_specs",
    "jobs",
    "metadata",
    "movements",
    "offered_models",
    "postings",
    "prices",
    "promo_earnings",
    "provider_days",
    "provider_faults",
    "provider_minutes",
    "providers",
    "renter_days",
    "renters",
    "replicas",
    "totals",
    "webhook_deliveries",
    "withdrawals",
    "write_probes",
]
