"""What daemons reported of themselves, the end of providers' accounts and keys, and who must not get a job again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


# Limits in percent and degrees need not be whole. Nothing could set them before, so there is nothing to keep.
LIMITS = ("gpu_usage_cap_pct", "temp_limit_c")
PARTLY_INDEXED = (("providers", "erase_at_ms"), ("api_keys", "expires_at_ms"))


def upgrade() -> None:
    create_daemon_events()
    op.add_column("jobs", sa.Column("excluded_provider_id", sa.BigInteger(), nullable=True))
    op.add_column("providers", sa.Column("erase_at_ms", sa.BigInteger(), nullable=True))
    for table, column in PARTLY_INDEXED:
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=known, postgresql_where=known)
    retype_limits(sa.Float())


def retype_limits(number: sa.types.TypeEngine[float] | sa.types.TypeEngine[int]) -> None:
    for column in LIMITS:
        op.drop_column("providers", column)
        op.add_column("providers", sa.Column(column, number, nullable=True))


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
    retype_limits(sa.Integer())
    for table, column in PARTLY_INDEXED:
        op.drop_index(f"ix_{table}_{column}", table)
    op.drop_column("providers", "erase_at_ms")
    op.drop_column("jobs", "excluded_provider_id")
    op.drop_table("daemon_events")
