"""Decisions on providers, an index on failed jobs by time, and the account that test jobs belong to."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "approval_decisions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("provider_id", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("ck_approval_decisions_decision")),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_approval_decisions_provider_id_providers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_decisions")),
    )
    op.create_index("ix_approval_decisions_provider_id_id", "approval_decisions", ["provider_id", "id"])
    failed = sa.text("status = 'failed'")
    op.create_index(
        "ix_jobs_failed", "jobs", ["completed_at_ms", "provider_id"], sqlite_where=failed, postgresql_where=failed
    )
    # Left by a downgrade when test jobs of it were there.
    op.execute(
        "INSERT INTO renters (id, name, email, status, created_at_ms) VALUES (0, 'Test jobs', '', 'deleted', 0) "
        "ON CONFLICT (id) DO NOTHING"
    )


def downgrade() -> None:
    op.execute("DELETE FROM renters WHERE id = 0 AND NOT EXISTS (SELECT 1 FROM jobs WHERE renter_id = 0)")
    op.drop_index("ix_jobs_failed", "jobs")
    op.drop_table("approval_decisions")
