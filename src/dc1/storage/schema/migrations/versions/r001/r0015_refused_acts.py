"""Refusals in the audit trail, one row for many, and rows of it and keys that are forgotten when they are old."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("audit_entries", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("audit_entries", sa.Column("calls", sa.BigInteger(), nullable=False, server_default="1"))
    op.create_index("ix_audit_entries_at_ms", "audit_entries", ["at_ms"])
    revoked = sa.text("revoked_at_ms IS NOT NULL")
    op.create_index(
        "ix_api_keys_revoked_at_ms", "api_keys", ["revoked_at_ms"], sqlite_where=revoked, postgresql_where=revoked
    )


def downgrade() -> None:
    op.drop_index("ix_api_keys_revoked_at_ms", "api_keys")
    op.drop_index("ix_audit_entries_at_ms", "audit_entries")
    # The revision before knows acts only, and would list a stranger's guess as one.
    op.execute("DELETE FROM audit_entries WHERE reason IS NOT NULL")
    op.drop_column("audit_entries", "calls")
    op.drop_column("audit_entries", "reason")
