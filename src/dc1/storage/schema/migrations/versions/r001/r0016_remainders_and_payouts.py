"""What settlements leave below one halala, and what an operator has to see before a payout.

Remainders are carried with renters and providers, and said on each job; jobs that were settled before have NULL, for
what was left of them was dropped. Of accounts and withdrawals that were there before, nothing is known of where they
were registered from and of how much was starter credit.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

PRICE, FEE = "carried_price_micro_halala", "carried_fee_micro_halala"
COUNTERS = (("renters", PRICE), ("providers", FEE), ("withdrawals", "promo_halala"))
ACCOUNTS = ("renters", "providers")


def upgrade() -> None:
    for table, name in COUNTERS:
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    for name in (PRICE, FEE):
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=True))
    for table in ACCOUNTS:
        op.add_column(table, sa.Column("registered_from", sa.Text(), nullable=True))
    op.create_index("ix_renters_registered_from", "renters", ["registered_from"])


def downgrade() -> None:
    op.drop_index("ix_renters_registered_from", "renters")
    for table in ACCOUNTS:
        op.drop_column(table, "registered_from")
    for name in (FEE, PRICE):
        op.drop_column("jobs", name)
    for table, name in reversed(COUNTERS):
        op.drop_column(table, name)
