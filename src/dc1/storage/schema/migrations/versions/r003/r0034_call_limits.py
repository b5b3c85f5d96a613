"""How much of /v1 renters and scoped keys may use at a time, and which models keys may name."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"

_LIMITS = ("requests_per_minute", "tokens_per_minute", "streams")


def upgrade() -> None:
    op.create_table(
        "key_limits",
        sa.Column("key_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in _LIMITS),
        sa.Column("models", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.key_id"], name=op.f("fk_key_limits_key_id_api_keys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_limits")),
    )
    for name in _LIMITS:
        op.add_column("renters", sa.Column(f"v1_{name}", sa.Integer(), nullable=True))


def downgrade() -> None:
    for name in _LIMITS:
        op.drop_column("renters", f"v1_{name}")
    op.drop_table("key_limits")
