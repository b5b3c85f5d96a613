"""Which daemon process holds a provider's stream, and when a second one with its key was last seen."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("providers", sa.Column("stream_instance", sa.Text(), nullable=True))
    op.add_column("providers", sa.Column("second_daemon_at_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("providers", "second_daemon_at_ms")
    op.drop_column("providers", "stream_instance")
