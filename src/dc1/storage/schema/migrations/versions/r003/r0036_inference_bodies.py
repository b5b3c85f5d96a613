"""The bodies of calls under /v1 as they were sent, and which path of an engine's API takes them."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

_COLUMNS = ("inference_path", "inference_body")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("job_specs", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("job_specs", name)
