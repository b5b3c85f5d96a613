"""The failures of a day are found from an index alone, on SQLite too.

SQLite took the index of all jobs by status for better, and read each that had ever failed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"

NAME = "ix_jobs_failed"


def upgrade() -> None:
    _replace("status", "completed_at_ms", "provider_id")


def downgrade() -> None:
    _replace("completed_at_ms", "provider_id")


def _replace(*columns: str) -> None:
    has_failed = sa.text("status = 'failed'")
    op.drop_index(NAME, "jobs")
    op.create_index(NAME, "jobs", [*columns], sqlite_where=has_failed, postgresql_where=has_failed)
