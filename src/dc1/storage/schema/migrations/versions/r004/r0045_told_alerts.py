"""Alerts that people were told of, so that each is told once while it lasts."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.create_table(
        "told_alerts",
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "reason", name=op.f("pk_told_alerts")),
    )


def downgrade() -> None:
    op.drop_table("told_alerts")
