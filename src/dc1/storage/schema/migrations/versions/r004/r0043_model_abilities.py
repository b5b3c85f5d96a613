"""What daemons say of each model, and which path of an engine's API a call under /v1 is for."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    op.add_column("providers", sa.Column("model_abilities", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("call_path", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("needs_bodies", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("jobs", "needs_bodies")
    op.drop_column("jobs", "call_path")
    op.drop_column("providers", "model_abilities")
