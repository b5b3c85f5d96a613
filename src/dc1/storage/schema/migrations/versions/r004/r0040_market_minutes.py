"""How large the market was in each minute: fleet, queue, runs, and what had been done and charged by then."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    counts = ("machines", "online", "queued", "running")
    sums = ("jobs_completed", "jobs_failed", "charged_halala")
    op.create_table(
        "market_minutes",
        sa.Column("minute_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint("minute_ms", name=op.f("pk_market_minutes")),
    )


def downgrade() -> None:
    op.drop_table("market_minutes")
