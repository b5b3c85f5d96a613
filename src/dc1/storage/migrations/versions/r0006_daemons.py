"""What daemons reported of themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_daemon_events()


def create_daemon_events() -> None:
    severities = "severity IN ('info', 'warning', 'error', 'critical')"
    op.create_table(
        "daemon_events",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("provider_id", sa.BigInteger(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(severities, name=op.f("ck_daemon_events_severity")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_daemon_events_provider_id_providers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daemon_events")),
    )
    op.create_index("ix_daemon_events_created_at_ms", "daemon_events", ["created_at_ms"])
    op.create_index("ix_daemon_events_provider_id_created_at_ms", "daemon_events", ["provider_id", "created_at_ms"])


def downgrade() -> None:
    op.drop_table("daemon_events")
