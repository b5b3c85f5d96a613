"""What an hour cost in each minute, so that people see how prices went."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    op.add_column("market_minutes", sa.Column("median_price_halala", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("market_minutes", "median_price_halala")
