"""Operators with names, roles and tokens of their own, which other replicas follow."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("methods", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("changed_xid", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'support', 'finance', 'admin')", name=op.f("ck_operators_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
    )
    stamped, in_force = sa.text("changed_xid IS NOT NULL"), sa.text("revoked_at_ms IS NULL")
    op.create_index(
        "ix_operators_changed_xid", "operators", ["changed_xid"], sqlite_where=stamped, postgresql_where=stamped
    )
    op.create_index(
        "uq_operators_name", "operators", ["name"], unique=True, sqlite_where=in_force, postgresql_where=in_force
    )
    if op.get_bind().dialect.name == "postgresql":
        # Not for each use of a token, of which the others have nothing to learn.
        op.execute(
            "CREATE TRIGGER operators_stamp_change "
            "BEFORE INSERT OR UPDATE OF role, methods, key_hash, expires_at_ms, revoked_at_ms ON operators "
            "FOR EACH ROW EXECUTE FUNCTION stamp_change()"
        )


def downgrade() -> None:
    op.drop_table("operators")
