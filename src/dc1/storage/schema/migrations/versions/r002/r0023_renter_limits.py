"""What each renter may spend in a month and submit in a day, where an admin has set it."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("renters", sa.Column("monthly_limit_halala", sa.BigInteger(), nullable=True))
    op.add_column("renters", sa.Column("daily_jobs_limit", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("renters", "daily_jobs_limit")
    op.drop_column("renters", "monthly_limit_halala")
