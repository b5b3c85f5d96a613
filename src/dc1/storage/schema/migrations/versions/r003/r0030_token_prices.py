"""Prices of tokens by model, apart for those that are read, read again and made, and how many of a call were which."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "token_prices",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("prompt_halala", sa.Integer(), nullable=False),
        sa.Column("completion_halala", sa.Integer(), nullable=False),
        sa.Column("cached_halala", sa.Integer(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_token_prices")),
    )
    for name in ("completion_price_halala", "cached_price_halala"):
        op.add_column("jobs", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("cached_tokens", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in ("cached_tokens", "cached_price_halala", "completion_price_halala"):
        op.drop_column("jobs", name)
    op.drop_table("token_prices")
