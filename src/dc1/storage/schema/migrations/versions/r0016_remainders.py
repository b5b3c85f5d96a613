"""What settlements leave below one halala: carried with renters and providers, and said on each job.

Jobs that were settled before have NULL: what was left of them was dropped.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

PRICE, FEE = "carried_price_micro_halala", "carried_fee_micro_halala"


def upgrade() -> None:
    for table, name in (("renters", PRICE), ("providers", FEE)):
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    for name in (PRICE, FEE):
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in (FEE, PRICE):
        op.drop_column("jobs", name)
    op.drop_column("providers", FEE)
    op.drop_column("renters", PRICE)
