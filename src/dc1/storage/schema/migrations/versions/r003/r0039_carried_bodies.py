"""Whether the daemon of a provider passes on what its engine says of a /v1 call as it is."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.add_column("providers", sa.Column("carries_bodies", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("providers", "carries_bodies")
