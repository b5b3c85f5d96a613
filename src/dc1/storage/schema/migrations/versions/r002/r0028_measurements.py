"""What probes proved of machines, and which GPUs cannot be what is reported."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_COLUMNS = (
    ("tops_int8", sa.Float()),
    ("memory_gbps", sa.Float()),
    ("probed_device", sa.Text()),
    ("probed_at_ms", sa.BigInteger()),
    ("mismatch", sa.Text()),
    ("mismatch_at_ms", sa.BigInteger()),
    ("accepted_hardware", sa.Text()),
)


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("providers", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name, _ in reversed(_COLUMNS):
        op.drop_column("providers", name)
