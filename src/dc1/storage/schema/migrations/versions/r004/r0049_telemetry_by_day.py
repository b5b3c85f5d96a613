"""Telemetry in a part for each day on PostgreSQL, so that a week-old day is dropped and not deleted row by row.

What is there becomes the first part as it stands, without a copy: its rows are read through once, to prove that they
are in its bounds, and nobody uses the table meanwhile. Back again they are copied.
"""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"

_DAY_MS = 86_400_000
_AHEAD = 3


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    op.execute("LOCK TABLE provider_minutes IN ACCESS EXCLUSIVE MODE")
    newest = "greatest((extract(epoch FROM now()) * 1000)::bigint, (SELECT max(minute_ms) FROM provider_minutes))"
    end_ms = bind.execute(sa.text(f"SELECT ({newest} / {_DAY_MS} + 1) * {_DAY_MS}")).scalar_one()
    op.execute("ALTER TABLE provider_minutes RENAME TO provider_minutes_before")
    for name in ("pk_provider_minutes", "ix_provider_minutes_minute_ms"):
        op.execute(f"ALTER INDEX {name} RENAME TO {name}_before")
    op.execute(
        "CREATE TABLE provider_minutes (LIKE provider_minutes_before INCLUDING DEFAULTS) PARTITION BY RANGE (minute_ms)"
    )
    # Indexes and keys that are there already are taken for those of the whole.
    _index("provider_minutes")
    op.execute(
        "ALTER TABLE provider_minutes ATTACH PARTITION provider_minutes_before"
        f" FOR VALUES FROM (MINVALUE) TO ({end_ms})"
    )
    # Not before all was read: it locks the providers, whom every report and every end of a job writes to.
    _refer_to_providers("provider_minutes")
    op.execute("CREATE TABLE provider_minutes_other PARTITION OF provider_minutes DEFAULT")
    for start_ms in range(end_ms, end_ms + _AHEAD * _DAY_MS, _DAY_MS):
        name = bind.execute(
            sa.text(f"SELECT to_char(to_timestamp({start_ms} / 1000) AT TIME ZONE 'UTC', 'YYYYMMDD')")
        ).scalar_one()
        op.execute(
            f"CREATE TABLE provider_minutes_{name} PARTITION OF provider_minutes"
            f" FOR VALUES FROM ({start_ms}) TO ({start_ms + _DAY_MS})"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("LOCK TABLE provider_minutes IN ACCESS EXCLUSIVE MODE")
    op.execute("ALTER TABLE provider_minutes RENAME TO provider_minutes_in_parts")
    op.execute("CREATE TABLE provider_minutes (LIKE provider_minutes_in_parts INCLUDING DEFAULTS)")
    op.execute("INSERT INTO provider_minutes SELECT * FROM provider_minutes_in_parts")
    op.execute("DROP TABLE provider_minutes_in_parts")
    _index("provider_minutes")
    _refer_to_providers("provider_minutes")


def _index(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_provider_minutes PRIMARY KEY (provider_id, minute_ms)")
    op.execute(f"CREATE INDEX ix_provider_minutes_minute_ms ON {table} (minute_ms)")


def _refer_to_providers(table: str) -> None:
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT fk_provider_minutes_provider_id_providers"
        " FOREIGN KEY (provider_id) REFERENCES providers (id)"
    )
