"""How many bytes of each job's log are kept; what was stored before counts as nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("job_log_heads", sa.Column("total_bytes", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("job_log_heads", "total_bytes")
