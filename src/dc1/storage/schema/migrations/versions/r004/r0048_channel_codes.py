"""Codes by which readers of e-mail confirm that they want to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    op.add_column("notification_channels", sa.Column("code_hash", sa.Text(), nullable=True))
    op.add_column("notification_channels", sa.Column("code_tries", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    # An older server would tell everything where only a code may go.
    op.execute(
        "DELETE FROM notifications WHERE channel_id IN "
        "(SELECT id FROM notification_channels WHERE code_hash IS NOT NULL)"
    )
    op.execute("DELETE FROM notification_channels WHERE code_hash IS NOT NULL")
    op.drop_column("notification_channels", "code_tries")
    op.drop_column("notification_channels", "code_hash")
