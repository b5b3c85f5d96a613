"""Withdrawals, an index on the time of movements, and telemetry by the minute."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
METRICS = ("gpu_util_pct", "temp_c", "power_w", "free_vram_mib")


def upgrade() -> None:
    op.create_index("ix_movements_created_at_ms", "movements", ["created_at_ms"])
    create_withdrawals()
    create_provider_minutes()


def create_withdrawals() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("withdrawal_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_halala", sa.BigInteger(), nullable=False),
        sa.Column("iban", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'paid', 'failed', 'rejected')", name=op.f("ck_withdrawals_status")
        ),
        sa.CheckConstraint("amount_halala > 0", name=op.f("ck_withdrawals_amount")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_withdrawals_provider_id_providers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("withdrawal_id", name=op.f("uq_withdrawals_withdrawal_id")),
    )
    op.create_index("ix_withdrawals_provider_id_id", "withdrawals", ["provider_id", "id"])
    op.create_index("ix_withdrawals_status_id", "withdrawals", ["status", "id"])
    still_open = sa.text("status IN ('pending', 'processing')")
    op.create_index(
        "uq_withdrawals_open",
        "withdrawals",
        ["provider_id"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def create_provider_minutes() -> None:
    metrics = [
        column
        for metric in METRICS
        for column in (
            sa.Column(f"{metric}_sum", sa.Float(), nullable=False),
            sa.Column(f"{metric}_count", sa.Integer(), nullable=False),
        )
    ]
    op.create_table(
        "provider_minutes",
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("minute_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        *metrics,
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_provider_minutes_provider_id_providers")
        ),
        sa.PrimaryKeyConstraint("provider_id", "minute_ms", name=op.f("pk_provider_minutes")),
    )
    op.create_index("ix_provider_minutes_minute_ms", "provider_minutes", ["minute_ms"])


def downgrade() -> None:
    op.drop_table("provider_minutes")
    op.drop_table("withdrawals")
    op.drop_index("ix_movements_created_at_ms", "movements")
