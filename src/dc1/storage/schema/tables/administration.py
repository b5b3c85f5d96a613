"""What admins decided."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from dc1.storage.schema.columns import PlainText, RowId, one_of, time_column
from dc1.storage.schema.tables.base import metadata

approval_decisions = Table(
    "approval_decisions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    time_column("at_ms"),
    Column("actor", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", PlainText),
    one_of("decision", ("approved", "rejected"), "decision"),
)
Index("ix_approval_decisions_provider_id_id", approval_decisions.c.provider_id, approval_decisions.c.id)
