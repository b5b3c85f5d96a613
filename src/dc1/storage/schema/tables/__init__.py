"""Every table of the schema; the migrations build the same thing, and a test compares the two."""

from dc1.storage.schema.tables.administration import approval_decisions
from dc1.storage.schema.tables.base import metadata
from dc1.storage.schema.tables.catalog import audit_entries, container_images, idempotent_answers, prices
from dc1.storage.schema.tables.daemons import challenges, daemon_events, offered_models
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
from dc1.storage.schema.tables.money import accounts, movements, postings, totals, withdrawals
from dc1.storage.schema.tables.people import api_keys, provider_days, providers, renter_days, renters, replicas
from dc1.storage.schema.tables.telemetry import provider_minutes
from dc1.storage.schema.tables.webhooks import webhook_deliveries

__all__ = [
    "accounts",
    "api_keys",
    "approval_decisions",
    "audit_entries",
    "challenges",
    "container_images",
    "daemon_events",
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
    "provider_days",
    "provider_minutes",
    "providers",
    "renter_days",
    "renters",
    "replicas",
    "totals",
    "webhook_deliveries",
    "withdrawals",
]
