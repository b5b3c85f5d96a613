"""Owners with many machines: every account of before is an owner's, with one machine."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("providers", sa.Column("owner_id", sa.BigInteger(), nullable=True))
    op.add_column("providers", sa.Column("owner_suspended", sa.Boolean(), nullable=False, server_default=sa.false()))
    owned = sa.text("owner_id IS NOT NULL")
    op.create_index("ix_providers_owner_id", "providers", ["owner_id"], sqlite_where=owned, postgresql_where=owned)


def downgrade() -> None:
    op.drop_index("ix_providers_owner_id", "providers")
    op.drop_column("providers", "owner_suspended")
    op.drop_column("providers", "owner_id")
