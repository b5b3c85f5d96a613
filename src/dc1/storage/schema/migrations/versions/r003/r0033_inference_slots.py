"""How many /v1 calls the engine of a provider takes at once."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.add_column("providers", sa.Column("inference_slots", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("providers", "inference_slots")
