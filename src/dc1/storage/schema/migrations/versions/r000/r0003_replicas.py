"""Several servers on one database: who lives, whose stream is where, and a feed of what changed.

On PostgreSQL triggers stamp changed rows with their transaction, so that a replica reads exactly what it has not
seen. SQLite has one server and leaves the stamps empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# What other replicas must follow: table, and the events that concern them.
FOLLOWED = {
    "jobs": "INSERT OR UPDATE",
    "providers": "INSERT OR UPDATE",
    "renters": "UPDATE OF status",
    "api_keys": "UPDATE OF revoked_at_ms, expires_at_ms",
}


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("replica_id", name=op.f("pk_replicas")),
    )
    op.add_column("providers", sa.Column("stream_replica", sa.Text(), nullable=True))
    op.add_column("providers", sa.Column("stream_opened_ms", sa.BigInteger(), nullable=True))
    on_postgres = op.get_bind().dialect.name == "postgresql"
    for table, events in FOLLOWED.items():
        op.add_column(table, sa.Column("changed_xid", sa.BigInteger(), nullable=True))
        stamped = sa.text("changed_xid IS NOT NULL")
        op.create_index(
            f"ix_{table}_changed_xid", table, ["changed_xid"], postgresql_where=stamped, sqlite_where=stamped
        )
        if on_postgres:
            stamp_changes(table, events)


def stamp_changes(table: str, events: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.changed_xid := pg_current_xact_id()::text::bigint; RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_stamp_change BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION stamp_change()"
    )


def downgrade() -> None:
    on_postgres = op.get_bind().dialect.name == "postgresql"
    for table in FOLLOWED:
        if on_postgres:
            op.execute(f"DROP TRIGGER {table}_stamp_change ON {table}")
        op.drop_index(f"ix_{table}_changed_xid", table)
        op.drop_column(table, "changed_xid")
    if on_postgres:
        op.execute("DROP FUNCTION stamp_change()")
    op.drop_column("providers", "stream_opened_ms")
    op.drop_column("providers", "stream_replica")
    op.drop_table("replicas")
