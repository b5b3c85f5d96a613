"""What scoped keys may spend in a month and have spent, and of which parts of a month's limit renters were told."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    counters = ("month_ms", "month_halala", "told_thresholds")
    op.create_table(
        "key_budgets",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("monthly_halala", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in counters),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.key_id"], name=op.f("fk_key_budgets_key_id_api_keys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_budgets")),
    )
    op.add_column("renters", sa.Column("told_thresholds", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("scoped_key_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "scoped_key_id")
    op.drop_column("renters", "told_thresholds")
    op.drop_table("key_budgets")
