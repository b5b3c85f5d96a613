"""What the bank calls the transfer that paid a withdrawal."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("withdrawals", sa.Column("bank_reference", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("withdrawals", "bank_reference")
