"""What daemons reported of themselves, and what they have to prove."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from dc1.storage.schema.columns import ExactJson, PlainText, RowId, one_of, time_column
from dc1.storage.schema.tables.base import metadata

daemon_events = Table(
    "daemon_events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    Column("event_type", PlainText, nullable=False),
    Column("severity", Text, nullable=False),
    Column("details", ExactJson),
    time_column("created_at_ms"),
    one_of("severity", ("info", "warning", "error", "critical"), "severity"),
)
Index("ix_daemon_events_created_at_ms", daemon_events.c.created_at_ms)
Index("ix_daemon_events_provider_id_created_at_ms", daemon_events.c.provider_id, daemon_events.c.created_at_ms)

challenges = Table(
    "challenges",
    metadata,
    Column("provider_id", BigInteger, ForeignKey("providers.id"), primary_key=True, autoincrement=False),
    Column("challenge_id", PlainText, nullable=False),
    Column("nonce", Text, nullable=False),
    time_column("expires_at_ms"),
    Column("fetched_at_ms", BigInteger),
)

# Every model that an approved provider ever offered, by its name in lower case.
offered_models = Table(
    "offered_models",
    metadata,
    Column("name", PlainText, primary_key=True),
    time_column("first_offered_ms"),
)
