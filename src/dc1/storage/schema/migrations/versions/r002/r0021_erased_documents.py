"""When what was sent with a job, its result and its log were erased, and an index of those that are still kept."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

NAME = "ix_jobs_kept"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("documents_erased_at_ms", sa.BigInteger()))
    kept = sa.text("completed_at_ms IS NOT NULL AND documents_erased_at_ms IS NULL")
    op.create_index(NAME, "jobs", ["completed_at_ms"], sqlite_where=kept, postgresql_where=kept)


def downgrade() -> None:
    op.drop_index(NAME, "jobs")
    op.drop_column("jobs", "documents_erased_at_ms")
