"""Whether a daemon has told of the machine's GPU, and jobs that need one without naming a type."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("providers", sa.Column("hardware_reported", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("needs_gpu", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Only a stream says what it has runners for, and a stream without a GPU is a machine without one, whatever its
    # owner claimed.
    op.execute("UPDATE providers SET hardware_reported = TRUE WHERE gpu_name IS NOT NULL OR job_types IS NOT NULL")
    op.execute("UPDATE providers SET vram_mib = NULL, gpu_count = NULL WHERE hardware_reported AND gpu_name IS NULL")


def downgrade() -> None:
    op.drop_column("jobs", "needs_gpu")
    op.drop_column("providers", "hardware_reported")
