"""What doubtful machines have to solve, so that any server can take the solution."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
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


def downgrade() -> None:
    op.drop_table("challenges")
