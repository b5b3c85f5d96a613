"""Whose fault the ends of runs were, since when a run works, and scores that forget: they begin anew."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lost_by", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("working_since_ms", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("fault", sa.Text(), nullable=True))
    op.add_column("job_attempts", sa.Column("fault", sa.Text(), nullable=True))
    op.add_column("providers", sa.Column("recent_completed", sa.Float(), nullable=False, server_default="0"))
    op.add_column("providers", sa.Column("recent_failed", sa.Float(), nullable=False, server_default="0"))
    op.add_column("providers", sa.Column("weighed_runs", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "provider_faults",
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("renter_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_provider_faults_provider_id_providers")
        ),
        sa.PrimaryKeyConstraint("provider_id", "renter_id", "day_ms", name=op.f("pk_provider_faults")),
    )


def downgrade() -> None:
    op.drop_table("provider_faults")
    op.drop_column("providers", "weighed_runs")
    op.drop_column("providers", "recent_failed")
    op.drop_column("providers", "recent_completed")
    op.drop_column("job_attempts", "fault")
    op.drop_column("jobs", "fault")
    op.drop_column("jobs", "working_since_ms")
    op.drop_column("jobs", "lost_by")
