"""Prices, images and the audit trail of operators, and the servers that share the database."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from dc1.domain.access.operators import OperatorRole
from dc1.storage.schema.columns import (
    TEXTS_OR_NONE_OF_THEM,
    ExactJson,
    PlainText,
    RowId,
    StoredEnum,
    change_stamp,
    metadata,
    one_of,
    stamp_index,
    time_column,
)

prices = Table(
    "prices",
    metadata,
    Column("job_type", PlainText, primary_key=True),
    Column("rate_halala", Integer, nullable=False),
    time_column("updated_at_ms"),
    CheckConstraint("rate_halala BETWEEN 1 AND 10000", name="rate"),
)

gpu_factors = Table(
    # By the canonical name of the model; a model that is not here has 1.00.
    "gpu_factors",
    metadata,
    Column("gpu_model", PlainText, primary_key=True),
    # In hundredths.
    Column("factor_pct", Integer, nullable=False),
    time_column("updated_at_ms"),
    CheckConstraint("factor_pct BETWEEN 1 AND 10000", name="factor"),
)

token_prices = Table(
    # By the model's name in lower case, in halala per million tokens; a model that is not here has the setting's price.
    "token_prices",
    metadata,
    Column("model", PlainText, primary_key=True),
    Column("prompt_halala", Integer, nullable=False),
    Column("completion_halala", Integer, nullable=False),
    Column("cached_halala", Integer, nullable=False),
    time_column("updated_at_ms"),
)

container_images = Table(
    "container_images",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("image_ref", PlainText, nullable=False, unique=True),
    Column("image_type", PlainText, nullable=False),
    Column("description", PlainText, nullable=False),
    time_column("approved_at_ms"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", RowId, primary_key=True),
    time_column("at_ms"),
    Column("actor", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", PlainText, nullable=False),
    Column("status", Integer, nullable=False),
    Column("provider_id", BigInteger),
    Column("detail", PlainText),
    # Of calls that were not let in, of which one row stands for many.
    Column("reason", Text),
    Column("calls", BigInteger, nullable=False, server_default="1"),
)
Index("ix_audit_entries_at_ms", audit_entries.c.at_ms)
# Refusals are forgotten long before the acts among which they stand, which would all be walked to find them.
_refused = audit_entries.c.reason.is_not(None)
Index("ix_audit_entries_refused_at_ms", audit_entries.c.at_ms, sqlite_where=_refused, postgresql_where=_refused)
Index("ix_audit_entries_provider_id_id", audit_entries.c.provider_id, audit_entries.c.id)

operators = Table(
    "operators",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("role", StoredEnum(OperatorRole), nullable=False),
    # NULL is every method of the role.
    Column("methods", ExactJson(TEXTS_OR_NONE_OF_THEM)),
    # Those of the token that is good now.
    Column("key_id", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    time_column("created_at_ms"),
    Column("created_by", PlainText, nullable=False),
    time_column("expires_at_ms", nullable=True),
    time_column("revoked_at_ms", nullable=True),
    time_column("last_used_at_ms", nullable=True),
    change_stamp(),
    one_of("role", OperatorRole, "role"),
)
stamp_index(operators)
# A name is given again once its holder is revoked.
_in_force = operators.c.revoked_at_ms.is_(None)
Index("uq_operators_name", operators.c.name, unique=True, sqlite_where=_in_force, postgresql_where=_in_force)

market_minutes = Table(
    # How large the market was at the beginning of each minute, and what had been done by then.
    "market_minutes",
    metadata,
    Column("minute_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("machines", Integer, nullable=False),
    Column("online", Integer, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("jobs_completed", BigInteger, nullable=False),
    Column("jobs_failed", BigInteger, nullable=False),
    Column("charged_halala", BigInteger, nullable=False),
    # Of an hour; null in a minute without a machine that could be given work.
    Column("median_price_halala", BigInteger),
)

replicas = Table(
    "replicas",
    metadata,
    Column("replica_id", Text, primary_key=True),
    time_column("expires_at_ms"),
)

write_probes = Table(
    "write_probes",
    metadata,
    # A row for each server that writes now, always written anew: it shows whether anything can be written.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("filler", LargeBinary, nullable=False),
)

clocks = Table(
    "clocks",
    metadata,
    # Which boot of which machine.
    Column("boot", Text, primary_key=True),
    # When it was, by the clock of the servers there.
    time_column("booted_ms"),
    time_column("noted_ms"),
)
