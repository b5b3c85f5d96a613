"""The images that editor extensions name by default, PyTorch 2.1 on CUDA 11.8."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

_NAMES = {
    f"docker.io/pytorch/pytorch:2.1.0-cuda11.8-cudnn8-{kind}": f"PyTorch 2.1 on CUDA 11.8, {text}"
    for kind, text in (("runtime", "to run programs"), ("devel", "with compilers"))
}

images = sa.table(
    "container_images",
    sa.column("image_ref"),
    sa.column("image_type"),
    sa.column("description"),
    sa.column("approved_at_ms"),
)


def upgrade() -> None:
    known = set(op.get_bind().scalars(sa.select(images.c.image_ref)))
    # An operator may have approved one before, then with its digest, and an image has one row.
    new = [name for name in _NAMES if not any(ref.partition("@")[0] == name for ref in known)]
    rows = [
        {"image_ref": name, "image_type": "pytorch", "description": _NAMES[name], "approved_at_ms": 0} for name in new
    ]
    op.bulk_insert(images, rows)


def downgrade() -> None:
    op.execute(images.delete().where(images.c.image_ref.in_(_NAMES)))
