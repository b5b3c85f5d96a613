"""What each key of a renter used of each model under /v1, by UTC day."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    counters = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens", "halala")
    op.create_table(
        "usage_days",
        sa.Column("renter_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in counters),
        sa.ForeignKeyConstraint(["renter_id"], ["renters.id"], name=op.f("fk_usage_days_renter_id_renters")),
        sa.PrimaryKeyConstraint("renter_id", "day_ms", "key_id", "model", name=op.f("pk_usage_days")),
    )
    op.execute(
        "INSERT INTO usage_days (renter_id, day_ms, key_id, model, calls, prompt_tokens, completion_tokens, "
        "cached_tokens, halala) "
        "SELECT renter_id, completed_at_ms - completed_at_ms % 86400000, COALESCE(scoped_key_id, ''), "
        "LOWER(COALESCE(model, '')), COUNT(*), SUM(COALESCE(prompt_tokens, 0)), SUM(COALESCE(completion_tokens, 0)), "
        "SUM(COALESCE(cached_tokens, 0)), SUM(COALESCE(actual_cost_halala, 0)) "
        "FROM jobs WHERE source = 'v1' AND completed_at_ms IS NOT NULL "
        "AND (status = 'completed' OR actual_cost_halala > 0) "
        "GROUP BY renter_id, completed_at_ms - completed_at_ms % 86400000, COALESCE(scoped_key_id, ''), "
        "LOWER(COALESCE(model, ''))"
    )


def downgrade() -> None:
    op.drop_table("usage_days")
