"""With which status an engine refused a /v1 call."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("engine_refusal", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "engine_refusal")
