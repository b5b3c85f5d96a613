"""Where people want to be told of what, and what is still to be told."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from dc1.domain.access.notifications import ChannelKind, NotificationEvent
from dc1.domain.providers.alerts import AlertReason
from dc1.storage.schema.columns import (
    OBJECT_ALWAYS,
    TEXTS,
    ExactJson,
    PlainText,
    RowId,
    StoredEnum,
    counter,
    metadata,
    time_column,
)

notification_channels = Table(
    "notification_channels",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("owner_role", Text, nullable=False),
    # 0 of operators, who share theirs.
    Column("owner_id", BigInteger, nullable=False),
    Column("kind", StoredEnum(ChannelKind), nullable=False),
    # It opens the channel to whoever has it.
    Column("sealed_target", PlainText, nullable=False),
    Column("hint", PlainText, nullable=False),
    Column("events", ExactJson(TEXTS), nullable=False),
    Column("language", Text, nullable=False),
    time_column("created_at_ms"),
    time_column("last_sent_at_ms", nullable=True),
    Column("last_error", PlainText),
    # NULL where nothing has to be confirmed any more; until then nothing but the code is sent.
    Column("code_hash", Text),
    counter("code_tries"),
)
Index("ix_notification_channels_owner_id", notification_channels.c.owner_id)

notifications = Table(
    # What was told, or given up, is not kept.
    "notifications",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("channel_id", BigInteger, ForeignKey("notification_channels.id"), nullable=False),
    Column("event", StoredEnum(NotificationEvent), nullable=False),
    Column("text", PlainText, nullable=False),
    Column("facts", ExactJson(OBJECT_ALWAYS), nullable=False),
    counter("attempts"),
    time_column("created_at_ms"),
    # When it may be sent; a sender that takes it moves this ahead.
    time_column("next_attempt_at_ms"),
)
Index("ix_notifications_next_attempt_at_ms", notifications.c.next_attempt_at_ms)
Index("ix_notifications_channel_id", notifications.c.channel_id)

told_alerts = Table(
    # A row for each that lasts, and for ten minutes more.
    "told_alerts",
    metadata,
    # Without a foreign key: what is over goes by itself, and an account that is erased need not wait for it.
    Column("provider_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", StoredEnum(AlertReason), primary_key=True),
    time_column("seen_at_ms"),
)
