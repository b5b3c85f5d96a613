"""The schema of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IMMUTABLE = ("movements", "postings")
SYSTEM_ACCOUNTS = ("platform", "promo", "external", "adjustment")
SHARDS = 8


def upgrade() -> None:
    create_tables()
    for table in IMMUTABLE:
        forbid_changes(table)
    accounts = sa.table("accounts", sa.column("kind"), sa.column("owner_id"))
    op.bulk_insert(accounts, [{"kind": kind, "owner_id": shard} for kind in SYSTEM_ACCOUNTS for shard in range(SHARDS)])


def forbid_changes(table: str) -> None:
    """The books are corrected by further movements, never by rewriting one."""
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are immutable'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_are_immutable() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} are immutable'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_are_immutable()"
    )


def create_tables() -> None:
    op.create_table(
        "accounts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("balance_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "balance_halala >= 0 OR kind IN ('promo', 'external', 'adjustment')", name=op.f("ck_accounts_not_negative")
        ),
        sa.CheckConstraint("kind <> 'wallet' OR balance_halala <= 2000000000", name=op.f("ck_accounts_wallet_limit")),
        sa.CheckConstraint(
            "kind IN ('wallet', 'hold', 'payable', 'payout', 'platform', 'promo', 'external', 'adjustment')",
            name=op.f("ck_accounts_kind"),
        ),
        sa.PrimaryKeyConstraint("kind", "owner_id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('renter', 'provider', 'sk')", name=op.f("ck_api_keys_role")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_index("ix_api_keys_owner_id_role", "api_keys", ["owner_id", "role"], unique=False)
    op.create_table(
        "audit_entries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("provider_id", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_provider_id_id", "audit_entries", ["provider_id", "id"], unique=False)
    op.create_table(
        "container_images",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("image_ref", sa.Text(), nullable=False),
        sa.Column("image_type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("approved_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_container_images")),
        sa.UniqueConstraint("image_ref", name=op.f("uq_container_images_image_ref")),
    )
    op.create_table(
        "idempotent_answers",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "route", "key", name=op.f("pk_idempotent_answers")),
    )
    op.create_index("ix_idempotent_answers_expires_at_ms", "idempotent_answers", ["expires_at_ms"], unique=False)
    op.create_table(
        "job_logs",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("logged_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("level IN ('debug', 'info', 'warn', 'error')", name=op.f("ck_job_logs_level")),
        sa.PrimaryKeyConstraint("job_id", "line_no", name=op.f("pk_job_logs")),
    )
    op.create_table(
        "prices",
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("rate_halala", sa.Integer(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("rate_halala BETWEEN 1 AND 10000", name=op.f("ck_prices_rate")),
        sa.PrimaryKeyConstraint("job_type", name=op.f("pk_prices")),
    )
    op.create_table(
        "providers",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("gpu_model", sa.Text(), nullable=False),
        sa.Column("os", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("approval_status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("approved_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("rejected_reason", sa.Text(), nullable=True),
        sa.Column("is_suspended", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("run_mode", sa.Text(), server_default="always-on", nullable=False),
        sa.Column("scheduled_start", sa.Text(), nullable=True),
        sa.Column("scheduled_end", sa.Text(), nullable=True),
        sa.Column("gpu_usage_cap_pct", sa.Integer(), nullable=True),
        sa.Column("vram_reserve_gb", sa.Float(), nullable=True),
        sa.Column("temp_limit_c", sa.Integer(), nullable=True),
        sa.Column("supported_compute_types", sa.Text(), nullable=True),
        sa.Column("preload_model", sa.Text(), nullable=True),
        sa.Column("preload_requested_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("gpu_name", sa.Text(), nullable=True),
        sa.Column("vram_mib", sa.Integer(), nullable=True),
        sa.Column("gpu_count", sa.Integer(), nullable=True),
        sa.Column("driver_version", sa.Text(), nullable=True),
        sa.Column("cuda_version", sa.Text(), nullable=True),
        sa.Column("compute_capability", sa.Text(), nullable=True),
        sa.Column("daemon_version", sa.Text(), nullable=True),
        sa.Column("provider_ip", sa.Text(), nullable=True),
        sa.Column("provider_hostname", sa.Text(), nullable=True),
        sa.Column("container_restart_count", sa.Integer(), nullable=True),
        sa.Column("cached_models", sa.Text(), nullable=True),
        sa.Column("vllm_models", sa.Text(), nullable=True),
        sa.Column("job_types", sa.Text(), nullable=True),
        sa.Column("gpu_status", sa.Text(), nullable=True),
        sa.Column("model_cache", sa.Text(), nullable=True),
        sa.Column("resource_spec", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), server_default="none", nullable=False),
        sa.Column("last_heartbeat_ms", sa.BigInteger(), nullable=True),
        sa.Column("stream_lost_ms", sa.BigInteger(), nullable=True),
        sa.Column("heartbeats_received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completed_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_earned_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "approval_status IN ('pending', 'approved', 'rejected')", name=op.f("ck_providers_approval_status")
        ),
        sa.CheckConstraint("channel IN ('none', 'post', 'stream')", name=op.f("ck_providers_channel")),
        sa.CheckConstraint("run_mode IN ('always-on', 'manual', 'scheduled')", name=op.f("ck_providers_run_mode")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("email", name=op.f("uq_providers_email")),
    )
    op.create_index("ix_providers_approval_status_id", "providers", ["approval_status", "id"], unique=False)
    op.create_table(
        "renters",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("use_case", sa.Text(), nullable=True),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("total_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completed_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_spent_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quota_day_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quota_day_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quota_month_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quota_month_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("v1_requests", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("v1_prompt_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("v1_completion_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("v1_cost_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_renters_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renters")),
        sa.UniqueConstraint("email", name=op.f("uq_renters_email")),
    )
    op.create_table(
        "totals",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("renters", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("renters_active", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wallets_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("jobs_queued", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("jobs_pending", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("jobs_running", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("jobs_completed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("jobs_failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("jobs_cancelled", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completed_revenue_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completed_fees_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("charged_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("charged_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("charged_platform_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("charged_provider_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("shard", "day_ms", name=op.f("pk_totals")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("renter_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("retried_from_job_id", sa.BigInteger(), nullable=True),
        sa.Column("named_provider_id", sa.BigInteger(), nullable=True),
        sa.Column("provider_id", sa.BigInteger(), nullable=True),
        sa.Column("last_provider_id", sa.BigInteger(), nullable=True),
        sa.Column("gpu_count", sa.Integer(), nullable=False),
        sa.Column("min_vram_gb", sa.Float(), nullable=True),
        sa.Column("gpu_type", sa.Text(), nullable=True),
        sa.Column("compute_type", sa.Text(), nullable=False),
        sa.Column("prewarm_requested", sa.Boolean(), nullable=False),
        sa.Column("checkpoint_enabled", sa.Boolean(), nullable=False),
        sa.Column("pricing_class", sa.Text(), nullable=False),
        sa.Column("class_rank", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("duration_minutes", sa.Text(), nullable=True),
        sa.Column("max_duration_seconds", sa.Integer(), nullable=False),
        sa.Column("run_deadline_seconds", sa.Integer(), nullable=False),
        sa.Column("rate_halala_per_minute", sa.Integer(), nullable=False),
        sa.Column("class_multiplier", sa.Text(), nullable=False),
        sa.Column("token_price_halala", sa.Integer(), nullable=True),
        sa.Column("fee_bps", sa.Integer(), nullable=False),
        sa.Column("cost_halala", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("queue_deadline_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("timeout_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("completed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("progress_phase", sa.Text(), nullable=True),
        sa.Column("progress_updated_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("attempt_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("retry_reason", sa.Text(), nullable=True),
        sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("endpoint_url", sa.Text(), nullable=True),
        sa.Column("used_seconds", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=True),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=True),
        sa.Column("actual_cost_halala", sa.BigInteger(), nullable=True),
        sa.Column("provider_earned_halala", sa.BigInteger(), nullable=True),
        sa.Column("dc1_fee_halala", sa.BigInteger(), nullable=True),
        sa.Column("refunded_halala", sa.BigInteger(), nullable=True),
        sa.Column("refunded_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_category", sa.Text(), nullable=True),
        sa.CheckConstraint("(status = 'queued') <= (provider_id IS NULL)", name=op.f("ck_jobs_waiting")),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled')) = (actual_cost_halala IS NOT NULL)",
            name=op.f("ck_jobs_settled_once"),
        ),
        sa.CheckConstraint(
            "(status IN ('pending', 'running')) <= (provider_id IS NOT NULL)", name=op.f("ck_jobs_leased")
        ),
        sa.CheckConstraint("source IN ('api', 'v1')", name=op.f("ck_jobs_source")),
        sa.CheckConstraint(
            "status IN ('queued', 'pending', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_jobs_status"),
        ),
        sa.CheckConstraint(
            "actual_cost_halala IS NULL OR (cost_halala = actual_cost_halala + refunded_halala AND actual_cost_halala = provider_earned_halala + dc1_fee_halala)",
            name=op.f("ck_jobs_settlement"),
        ),
        sa.CheckConstraint("cost_halala >= 0", name=op.f("ck_jobs_cost")),
        sa.CheckConstraint("gpu_count >= 1", name=op.f("ck_jobs_gpu_count")),
        sa.CheckConstraint("retry_count BETWEEN 0 AND max_retries", name=op.f("ck_jobs_retries")),
        sa.ForeignKeyConstraint(
            ["last_provider_id"], ["providers.id"], name=op.f("fk_jobs_last_provider_id_providers")
        ),
        sa.ForeignKeyConstraint(
            ["named_provider_id"], ["providers.id"], name=op.f("fk_jobs_named_provider_id_providers")
        ),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_jobs_provider_id_providers")),
        sa.ForeignKeyConstraint(["renter_id"], ["renters.id"], name=op.f("fk_jobs_renter_id_renters")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("job_id", name=op.f("uq_jobs_job_id")),
    )
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["due_at_ms"],
        unique=False,
        sqlite_where=sa.text("due_at_ms IS NOT NULL"),
        postgresql_where=sa.text("due_at_ms IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_leased",
        "jobs",
        ["provider_id", "gpu_count"],
        unique=False,
        sqlite_where=sa.text("status IN ('pending', 'running')"),
        postgresql_where=sa.text("status IN ('pending', 'running')"),
    )
    op.create_index("ix_jobs_provider_id_id", "jobs", ["provider_id", "id"], unique=False)
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["class_rank", "priority", "submitted_at_ms", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'queued'"),
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index("ix_jobs_renter_id_id", "jobs", ["renter_id", "id"], unique=False)
    op.create_index("ix_jobs_renter_id_status_id", "jobs", ["renter_id", "status", "id"], unique=False)
    op.create_index("ix_jobs_status_id", "jobs", ["status", "id"], unique=False)
    op.create_table(
        "provider_days",
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("heartbeats", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("settled_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("earned_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_provider_days_provider_id_providers")),
        sa.PrimaryKeyConstraint("provider_id", "day_ms", name=op.f("pk_provider_days")),
    )
    op.create_table(
        "job_attempts",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("provider_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("gpu_seconds_used", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_attempts_job_id_jobs")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_job_attempts_provider_id_providers")),
        sa.PrimaryKeyConstraint("job_id", "attempt_number", name=op.f("pk_job_attempts")),
    )
    op.create_index(
        "ix_job_attempts_provider_id_started_at_ms", "job_attempts", ["provider_id", "started_at_ms"], unique=False
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("error_category", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("occurred_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "sequence_no", name=op.f("pk_job_events")),
    )
    op.create_table(
        "job_log_batches",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_log_batches_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "attempt_number", "batch_seq", name=op.f("pk_job_log_batches")),
    )
    op.create_table(
        "job_log_heads",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("total_lines", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_log_heads_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_log_heads")),
    )
    op.create_table(
        "job_results",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("stored_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_results_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_results")),
    )
    op.create_table(
        "job_specs",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("params", sa.Text(), nullable=True),
        sa.Column("task_spec", sa.Text(), nullable=True),
        sa.Column("env_vars", sa.Text(), nullable=True),
        sa.Column("container_spec", sa.Text(), nullable=False),
        sa.Column("gpu_requirements", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_specs_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_specs")),
    )
    op.create_table(
        "movements",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("amount_halala", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_halala > 0", name=op.f("ck_movements_amount")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_movements_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movements")),
        sa.UniqueConstraint("kind", "ref", name=op.f("uq_movements_kind_ref")),
    )
    op.create_table(
        "postings",
        sa.Column("movement_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount_halala", sa.BigInteger(), nullable=False),
        sa.Column("balance_after_halala", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_halala <> 0", name=op.f("ck_postings_amount")),
        sa.ForeignKeyConstraint(
            ["account_kind", "owner_id"],
            ["accounts.kind", "accounts.owner_id"],
            name=op.f("fk_postings_account_kind_accounts"),
        ),
        sa.ForeignKeyConstraint(["movement_id"], ["movements.id"], name=op.f("fk_postings_movement_id_movements")),
        sa.PrimaryKeyConstraint("movement_id", "account_kind", "owner_id", name=op.f("pk_postings")),
    )
    op.create_index("ix_postings_account", "postings", ["account_kind", "owner_id", "movement_id"], unique=False)


def downgrade() -> None:
    op.drop_table("postings")
    op.drop_table("movements")
    op.drop_table("job_specs")
    op.drop_table("job_results")
    op.drop_table("job_log_heads")
    op.drop_table("job_log_batches")
    op.drop_table("job_events")
    op.drop_table("job_attempts")
    op.drop_table("provider_days")
    op.drop_table("jobs")
    op.drop_table("totals")
    op.drop_table("renters")
    op.drop_table("providers")
    op.drop_table("prices")
    op.drop_table("job_logs")
    op.drop_table("idempotent_answers")
    op.drop_table("container_images")
    op.drop_table("audit_entries")
    op.drop_table("api_keys")
    op.drop_table("accounts")
    if op.get_bind().dialect.name == "postgresql":
        for table in IMMUTABLE:
            op.execute(f"DROP FUNCTION {table}_are_immutable()")
