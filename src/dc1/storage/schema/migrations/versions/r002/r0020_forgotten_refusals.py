"""An index of refusals in the audit trail, which are forgotten long before the acts among which they stand."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

NAME = "ix_audit_entries_refused_at_ms"


def upgrade() -> None:
    refused = sa.text("reason IS NOT NULL")
    op.create_index(NAME, "audit_entries", ["at_ms"], sqlite_where=refused, postgresql_where=refused)


def downgrade() -> None:
    op.drop_index(NAME, "audit_entries")
