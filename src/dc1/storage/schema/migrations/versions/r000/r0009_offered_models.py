"""Every model that an approved provider ever offered."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "offered_models",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_offered_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_offered_models")),
    )


def downgrade() -> None:
    op.drop_table("offered_models")
