"""Events on their way to renters' webhook addresses, and what became of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text

from dc1.storage.schema.columns import PlainText, RowId, counter, one_of, time_column
from dc1.storage.schema.tables.base import metadata

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("renter_id", BigInteger, ForeignKey("renters.id"), nullable=False),
    Column("job_id", BigInteger, ForeignKey("jobs.id")),
    Column("event", Text, nullable=False),
    Column("url", PlainText, nullable=False),
    Column("body", PlainText, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    counter("attempts"),
    Column("response_status", Integer),
    Column("error", PlainText),
    time_column("created_at_ms"),
    time_column("last_attempt_at_ms", nullable=True),
    # When it may be sent; a sender that takes it moves this ahead, so that another one takes it should the first die.
    time_column("next_attempt_at_ms", nullable=True),
    time_column("delivered_at_ms", nullable=True),
    one_of("status", ("pending", "delivered", "failed"), "status"),
)
Index("ix_webhook_deliveries_renter_id_id", webhook_deliveries.c.renter_id, webhook_deliveries.c.id)
Index("ix_webhook_deliveries_created_at_ms", webhook_deliveries.c.created_at_ms)
_WAITING = text("next_attempt_at_ms IS NOT NULL")
Index(
    "ix_webhook_deliveries_next_attempt_at_ms",
    webhook_deliveries.c.next_attempt_at_ms,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
