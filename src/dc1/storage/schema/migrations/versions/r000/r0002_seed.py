"""What a new market starts with: its prices and the images that may run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

RATES = {
    "image_generation": 20,
    "llm-inference": 15,
    "llm_inference": 15,
    "rendering": 20,
    "training": 25,
    "benchmark": 10,
    "custom_container": 10,
    "vllm_serve": 20,
    "rag-pipeline": 15,
    "default": 10,
}
IMAGES = (
    ("docker.io/library/busybox:1.36", "custom", "Small Unix tools, for trying out a provider"),
    ("docker.io/library/python:3.11-slim", "python", "Python 3.11"),
    ("docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04", "cuda", "CUDA 12.4 runtime"),
    ("docker.io/pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime", "pytorch", "PyTorch 2.5 on CUDA 12.4"),
    ("docker.io/vllm/vllm-openai:v0.8.5", "vllm-serve", "vLLM server with the OpenAI protocol"),
)

prices = sa.table("prices", sa.column("job_type"), sa.column("rate_halala"), sa.column("updated_at_ms"))
images = sa.table(
    "container_images",
    sa.column("image_ref"),
    sa.column("image_type"),
    sa.column("description"),
    sa.column("approved_at_ms"),
)


def upgrade() -> None:
    op.bulk_insert(
        prices, [{"job_type": name, "rate_halala": rate, "updated_at_ms": 0} for name, rate in RATES.items()]
    )
    op.bulk_insert(
        images,
        [
            {"image_ref": ref, "image_type": kind, "description": text, "approved_at_ms": 0}
            for ref, kind, text in IMAGES
        ],
    )


def downgrade() -> None:
    op.execute(prices.delete())
    op.execute(images.delete())
