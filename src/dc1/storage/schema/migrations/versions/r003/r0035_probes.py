"""Measurements say whether products were of integers; challenges are probes, which live in memory."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.drop_table("challenges")
    op.add_column("providers", sa.Column("integer_products", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("providers", "integer_products")
    op.create_table(
        "challenges",
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("challenge_id", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("fetched_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_challenges_provider_id_providers")),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_challenges")),
    )
