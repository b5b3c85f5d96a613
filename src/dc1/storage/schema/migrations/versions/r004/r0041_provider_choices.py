"""Which providers may have the work of a scoped key, and of a job that was ordered with one."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    for table in ("key_limits", "jobs"):
        op.add_column(table, sa.Column("provider_choice", sa.Text(), nullable=True))


def downgrade() -> None:
    for table in ("key_limits", "jobs"):
        op.drop_column(table, "provider_choice")
