"""What cards went through under runs, and the clocks by which that is judged."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("gpu_conditions", sa.Text(), nullable=True))
    op.add_column("providers", sa.Column("load_clocks", sa.Text(), nullable=True))
    op.add_column("providers", sa.Column("probe_slowed_by", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("providers", "probe_slowed_by")
    op.drop_column("providers", "load_clocks")
    op.drop_column("jobs", "gpu_conditions")
