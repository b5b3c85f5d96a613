"""How the clock of a machine's servers goes, which a restart of the server does not change."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "clocks",
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("booted_ms", sa.BigInteger(), nullable=False),
        sa.Column("noted_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("boot", name="pk_clocks"),
    )


def downgrade() -> None:
    op.drop_table("clocks")
