"""Counting a run is no change of its provider that other replicas read: it comes with the next report of its daemon.

Each settled job stamped its provider, whose whole row every other replica then read.
"""

from alembic import op

revision = "0051"
down_revision = "0050"

_COUNTED = (
    "completed_jobs",
    "failed_jobs",
    "weighed_runs",
    "total_earned_halala",
    "carried_share_micro_halala",
    "carried_promo_share_micro_halala",
)
_STAMP = "FOR EACH ROW EXECUTE FUNCTION stamp_change()"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    same = " AND ".join(f"OLD.{column} IS NOT DISTINCT FROM NEW.{column}" for column in _COUNTED)
    op.execute("DROP TRIGGER providers_stamp_change ON providers")
    op.execute(f"CREATE TRIGGER providers_stamp_new BEFORE INSERT ON providers {_STAMP}")
    op.execute(
        f"CREATE TRIGGER providers_stamp_change BEFORE UPDATE ON providers FOR EACH ROW WHEN ({same}) "
        "EXECUTE FUNCTION stamp_change()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TRIGGER providers_stamp_new ON providers")
    op.execute("DROP TRIGGER providers_stamp_change ON providers")
    op.execute(f"CREATE TRIGGER providers_stamp_change BEFORE INSERT OR UPDATE ON providers {_STAMP}")
