"""The slots of a machine in use are counted from an index alone, on SQLite too.

SQLite took the index of all jobs that the machine ever had for as good, and read the row of each.
"""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"

NAME = "ix_jobs_leased"


def upgrade() -> None:
    _replace("provider_id", "status", "source", "gpu_count")


def downgrade() -> None:
    _replace("provider_id", "gpu_count")


def _replace(*columns: str) -> None:
    is_open = sa.text("status IN ('pending', 'running')")
    op.drop_index(NAME, "jobs")
    op.create_index(NAME, "jobs", [*columns], sqlite_where=is_open, postgresql_where=is_open)
