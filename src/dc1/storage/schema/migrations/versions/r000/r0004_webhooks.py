"""Webhooks, renters' spending by day, and the end of their accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("renters", sa.Column("sealed_webhook_secret", sa.Text(), nullable=True))
    op.add_column("renters", sa.Column("erase_at_ms", sa.BigInteger(), nullable=True))
    op.create_index("ix_renters_status_id", "renters", ["status", "id"])
    partial_index("ix_renters_erase_at_ms", "renters", "erase_at_ms")
    op.create_index("ix_jobs_renter_id_submitted_at_ms", "jobs", ["renter_id", "submitted_at_ms"])
    create_renter_days()
    create_webhook_deliveries()


def partial_index(name: str, table: str, column: str) -> None:
    known = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, [column], sqlite_where=known, postgresql_where=known)


def create_renter_days() -> None:
    op.create_table(
        "renter_days",
        sa.Column("renter_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("charged_jobs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("charged_halala", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["renter_id"], ["renters.id"], name=op.f("fk_renter_days_renter_id_renters")),
        sa.PrimaryKeyConstraint("renter_id", "day_ms", name=op.f("pk_renter_days")),
    )
    op.execute(
        "INSERT INTO renter_days (renter_id, day_ms, charged_jobs, charged_halala) "
        "SELECT renter_id, completed_at_ms - completed_at_ms % 86400000 AS day, count(*), sum(actual_cost_halala) "
        "FROM jobs WHERE actual_cost_halala > 0 GROUP BY renter_id, day"
    )


def create_webhook_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("renter_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_attempt_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("next_attempt_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_deliveries_job_id_jobs")),
        sa.ForeignKeyConstraint(["renter_id"], ["renters.id"], name=op.f("fk_webhook_deliveries_renter_id_renters")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_webhook_deliveries_delivery_id")),
    )
    op.create_index("ix_webhook_deliveries_renter_id_id", "webhook_deliveries", ["renter_id", "id"])
    op.create_index("ix_webhook_deliveries_created_at_ms", "webhook_deliveries", ["created_at_ms"])
    partial_index("ix_webhook_deliveries_next_attempt_at_ms", "webhook_deliveries", "next_attempt_at_ms")


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("renter_days")
    op.drop_index("ix_jobs_renter_id_submitted_at_ms", "jobs")
    op.drop_index("ix_renters_erase_at_ms", "renters")
    op.drop_index("ix_renters_status_id", "renters")
    op.drop_column("renters", "erase_at_ms")
    op.drop_column("renters", "sealed_webhook_secret")
