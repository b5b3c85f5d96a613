"""What engines said of calls whose callers wait at another server, beside the results of these."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.add_column("job_results", sa.Column("events", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("job_results", "events")
