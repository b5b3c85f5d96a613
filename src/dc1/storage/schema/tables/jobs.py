"""Jobs and everything that is told about them.

The row of `jobs` is small because every move rewrites it; what never changes is in `job_specs`, and what grows
is in tables of its own.
"""

from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    false,
    text,
    true,
)

from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import (
    Actor,
    ComputeType,
    ErrorCategory,
    JobEvent,
    JobSource,
    JobStatus,
    JobType,
    LogLevel,
    Phase,
)
from dc1.domain.money.pricing import PricingClass
from dc1.storage.schema.columns import (
    NUMBERS,
    OBJECT,
    OBJECT_ALWAYS,
    PROVIDER_CHOICE,
    TEXTS,
    ExactDecimal,
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

jobs = Table(
    "jobs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", Text, nullable=False, unique=True),
    Column("renter_id", BigInteger, ForeignKey("renters.id"), nullable=False),
    # The scoped key that ordered it, whose budget it counts in; NULL for the master key.
    Column("scoped_key_id", PlainText),
    Column("source", StoredEnum(JobSource), nullable=False),
    Column("job_type", StoredEnum(JobType), nullable=False),
    Column("model", PlainText),
    Column("status", StoredEnum(JobStatus), nullable=False),
    Column("retried_from_job_id", BigInteger),
    # Where it may run, where it runs, and who lost it last.
    Column("named_provider_id", BigInteger, ForeignKey("providers.id")),
    # Whom its key, or the call itself, allowed when it was submitted; NULL is everybody.
    Column("provider_choice", ExactJson(PROVIDER_CHOICE)),
    Column("provider_id", BigInteger, ForeignKey("providers.id")),
    Column("last_provider_id", BigInteger, ForeignKey("providers.id")),
    # Who was handed it and never took it up, so that it goes to anybody else.
    Column("excluded_provider_id", BigInteger),
    # Everybody who lost it, so that it goes back to none of them while another fits.
    Column("lost_by", ExactJson(NUMBERS)),
    Column("gpu_count", Integer, nullable=False),
    Column("min_vram_gb", Float),
    Column("gpu_type", Text),
    # It names CUDA, or anything else that only a GPU has.
    Column("needs_gpu", Boolean, nullable=False, server_default=false()),
    # Which path of an engine's API a /v1 call is for, and whether it needs a daemon that passes on bytes.
    Column("call_path", Text),
    Column("needs_bodies", Boolean, nullable=False, server_default=false()),
    Column("compute_type", StoredEnum(ComputeType), nullable=False),
    Column("prewarm_requested", Boolean, nullable=False),
    Column("checkpoint_enabled", Boolean, nullable=False),
    # Its place in the queue: class_rank, priority, submitted_at_ms, id.
    Column("pricing_class", StoredEnum(PricingClass), nullable=False),
    Column("class_rank", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    # The terms of sale, as they were at submit.
    Column("duration_minutes", ExactDecimal),
    Column("max_duration_seconds", Integer, nullable=False),
    Column("run_deadline_seconds", Integer, nullable=False),
    Column("rate_halala_per_minute", Integer, nullable=False),
    # One that cannot be read is the standard class's, so that the job ends; nobody pays more than what was held.
    Column("class_multiplier", ExactDecimal(Decimal(1)), nullable=False),
    # What a job takes of a machine's price, its GPUs together, in ten-thousandths of the rate: of the dearest machine
    # that it may land on, for which the money is held, and of the one that has it or had it last. NULL for calls under
    # /v1, and for jobs of before machines had prices.
    Column("hold_price_bps", BigInteger),
    Column("run_price_bps", BigInteger),
    Column("max_rate_halala_per_minute", ExactDecimal),
    Column("prefers_price", Boolean, nullable=False, server_default=false()),
    # Whether it can be a task of a daemon that runs scripts alone.
    Column("is_scriptable", Boolean, nullable=False, server_default=true()),
    # Of a call under /v1, per million tokens of its prompt, of its answer, and of what of the prompt was read before;
    # NULL in the latter two stands for the first.
    Column("token_price_halala", Integer),
    Column("completion_price_halala", Integer),
    Column("cached_price_halala", Integer),
    Column("fee_bps", Integer, nullable=False),
    Column("cost_halala", BigInteger, nullable=False),
    # How much of the cost was taken from starter credit, and how much of that the provider earned.
    counter("promo_held_halala"),
    Column("promo_earned_halala", BigInteger),
    time_column("submitted_at_ms"),
    time_column("queue_deadline_at_ms", nullable=True),
    time_column("started_at_ms", nullable=True),
    time_column("timeout_at_ms", nullable=True),
    # The deadline that applies now: of the queue while waiting, of the run while running, none once terminal.
    time_column("due_at_ms", nullable=True),
    time_column("completed_at_ms", nullable=True),
    Column("progress_phase", StoredEnum(Phase)),
    time_column("progress_updated_at_ms", nullable=True),
    # Since when the run is past pulling and loading, which are free.
    time_column("working_since_ms", nullable=True),
    Column("attempt_number", Integer, nullable=False, server_default="0"),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Column("max_retries", Integer, nullable=False),
    Column("retry_reason", PlainText),
    Column("event_sequence", Integer, nullable=False, server_default="0"),
    Column("endpoint_url", PlainText),
    Column("used_seconds", ExactDecimal),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("actual_cost_halala", BigInteger),
    Column("provider_earned_halala", BigInteger),
    Column("dc1_fee_halala", BigInteger),
    Column("refunded_halala", BigInteger),
    time_column("refunded_at_ms", nullable=True),
    # What the settlement added to the remainders that the renter and the provider carry, or took from them.
    Column("carried_price_micro_halala", BigInteger),
    Column("carried_share_micro_halala", BigInteger),
    # NULL where the provider's share is not one of starter credit.
    Column("carried_promo_share_micro_halala", BigInteger),
    # Paid to the provider besides, of calls whose price came with others; NULL where shares were not carried yet.
    Column("advance_halala", BigInteger),
    Column("error", PlainText),
    Column("error_category", StoredEnum(ErrorCategory)),
    Column("fault", StoredEnum(Fault)),
    # With which status an engine refused a /v1 call, and what it said besides.
    Column("engine_refusal", ExactJson(OBJECT)),
    # What the cards went through under its last attempt, of which it has the number.
    Column("gpu_conditions", ExactJson(OBJECT)),
    # Since when what was sent with it, its result and its log are not kept any more.
    time_column("documents_erased_at_ms", nullable=True),
    change_stamp(),
    one_of("status", JobStatus, "status"),
    one_of("source", JobSource, "source"),
    CheckConstraint("cost_halala >= 0", name="cost"),
    CheckConstraint("gpu_count >= 1", name="gpu_count"),
    CheckConstraint("retry_count BETWEEN 0 AND max_retries", name="retries"),
    # Between truth values `<=` reads as "implies", on both engines.
    CheckConstraint("(status IN ('pending', 'running')) <= (provider_id IS NOT NULL)", name="leased"),
    CheckConstraint("(status = 'queued') <= (provider_id IS NULL)", name="waiting"),
    CheckConstraint(
        # The last word on a bill: what was held is charged or given back, and who gets the charge adds up to it.
        "actual_cost_halala IS NULL OR (cost_halala = actual_cost_halala + refunded_halala"
        " AND actual_cost_halala = provider_earned_halala + dc1_fee_halala)",
        name="settlement",
    ),
    CheckConstraint(
        "(status IN ('completed', 'failed', 'cancelled')) = (actual_cost_halala IS NOT NULL)", name="settled_once"
    ),
)
stamp_index(jobs, tells_itself=True)
_OPEN = text("status IN ('pending', 'running')")
_QUEUED = text("status = 'queued'")
# For the lists of a renter, with and without a status, and for what became of a period's jobs.
Index("ix_jobs_renter_id_id", jobs.c.renter_id, jobs.c.id)
Index("ix_jobs_renter_id_submitted_at_ms", jobs.c.renter_id, jobs.c.submitted_at_ms)
Index("ix_jobs_renter_id_status_id", jobs.c.renter_id, jobs.c.status, jobs.c.id)
Index("ix_jobs_provider_id_id", jobs.c.provider_id, jobs.c.id)
Index("ix_jobs_status_id", jobs.c.status, jobs.c.id)
Index(
    # Counts the slots in use from the index alone. With the status, by which it is partial already: without that column
    # SQLite holds the index of all jobs of the provider for as good, and reads the row of each that has ended.
    "ix_jobs_leased",
    jobs.c.provider_id,
    jobs.c.status,
    jobs.c.source,
    jobs.c.gpu_count,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index(
    # The order of dispatch, of waiting jobs only, so that it stays as small as the queue.
    "ix_jobs_queue",
    jobs.c.class_rank,
    jobs.c.priority,
    jobs.c.submitted_at_ms,
    jobs.c.id,
    sqlite_where=_QUEUED,
    postgresql_where=_QUEUED,
)
_DUE = text("due_at_ms IS NOT NULL")
# A terminal job has no deadline and leaves the index.
Index("ix_jobs_due", jobs.c.due_at_ms, sqlite_where=_DUE, postgresql_where=_DUE)
_KEPT = text("completed_at_ms IS NOT NULL AND documents_erased_at_ms IS NULL")
# For what is erased next, the oldest first.
Index("ix_jobs_kept", jobs.c.completed_at_ms, sqlite_where=_KEPT, postgresql_where=_KEPT)
_FAILED = text("status = 'failed'")
Index(
    # For alerts, which look at the failures of a day. With the status as above: SQLite read each that had ever failed.
    "ix_jobs_failed",
    jobs.c.status,
    jobs.c.completed_at_ms,
    jobs.c.provider_id,
    sqlite_where=_FAILED,
    postgresql_where=_FAILED,
)

job_specs = Table(
    "job_specs",
    metadata,
    Column("job_id", BigInteger, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("params", ExactJson),
    Column("task_spec", ExactJson),
    Column("env_vars", ExactJson(OBJECT)),
    Column("container_spec", ExactJson(OBJECT_ALWAYS), nullable=False),
    Column("gpu_requirements", ExactJson(OBJECT)),
    Column("inference_path", Text),
    # Not as JSON, of which a reader keeps the values alone: an engine is handed the text.
    Column("inference_body", Text),
)

job_attempts = Table(
    "job_attempts",
    metadata,
    Column("job_id", BigInteger, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("attempt_number", Integer, primary_key=True, autoincrement=False),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    time_column("started_at_ms"),
    time_column("ended_at_ms", nullable=True),
    Column("outcome", Text),
    Column("exit_code", Integer),
    Column("gpu_seconds_used", Float),
    # As `run_price_bps` of the job.
    Column("price_bps", BigInteger),
    # In the daemon's own words, which its owner and admins may read; what renters are told is the job's error.
    Column("error_detail", PlainText),
    Column("fault", StoredEnum(Fault)),
)
Index("ix_job_attempts_provider_id_started_at_ms", job_attempts.c.provider_id, job_attempts.c.started_at_ms)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", BigInteger, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("sequence_no", Integer, primary_key=True, autoincrement=False),
    Column("event_type", StoredEnum(JobEvent), nullable=False),
    Column("status", StoredEnum(JobStatus), nullable=False),
    Column("source", StoredEnum(Actor), nullable=False),
    Column("error_category", StoredEnum(ErrorCategory)),
    Column("error_code", Text),
    Column("message", PlainText),
    Column("payload", ExactJson(OBJECT_ALWAYS), nullable=False),
    time_column("occurred_at_ms"),
)

job_log_heads = Table(
    "job_log_heads",
    metadata,
    Column("job_id", BigInteger, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    counter("total_lines"),
    counter("total_bytes"),
)

job_log_batches = Table(
    "job_log_batches",
    metadata,
    Column("job_id", BigInteger, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("attempt_number", Integer, primary_key=True, autoincrement=False),
    Column("batch_seq", BigInteger, primary_key=True, autoincrement=False),
)

job_logs = Table(
    "job_logs",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt_number", Integer, nullable=False),
    Column("level", StoredEnum(LogLevel), nullable=False),
    Column("message", PlainText, nullable=False),
    time_column("logged_at_ms"),
    one_of("level", LogLevel, "level"),
)

job_results = Table(
    "job_results",
    metadata,
    Column("job_id", BigInteger, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("result", ExactJson, nullable=False),
    time_column("stored_at_ms"),
    # What an engine said of a call, in its own texts, where its caller waits at another server for more than the result
    # has.
    Column("events", ExactJson(TEXTS)),
)
