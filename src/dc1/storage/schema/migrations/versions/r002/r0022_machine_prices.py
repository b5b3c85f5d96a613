"""Prices of machines: the factors of GPU models, what owners ask, and what jobs take of both."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

FACTORS_PCT = {
    "B200": 1100,
    "H200": 750,
    "H100": 550,
    "A100 80 GB": 320,
    "A100 40 GB": 250,
    "L40S": 200,
    "RTX 5090": 150,
    "A6000": 110,
    "RTX 4090": 100,
    "L4": 90,
    "RTX 4080": 80,
    "RTX 3090": 60,
    "V100": 50,
    "RTX 3080": 45,
    "T4": 40,
    "RTX 3060": 30,
}


def upgrade() -> None:
    factors = op.create_table(
        "gpu_factors",
        sa.Column("gpu_model", sa.Text(), nullable=False),
        sa.Column("factor_pct", sa.Integer(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("factor_pct BETWEEN 1 AND 10000", name=op.f("ck_gpu_factors_factor")),
        sa.PrimaryKeyConstraint("gpu_model", name=op.f("pk_gpu_factors")),
    )
    op.bulk_insert(
        factors, [{"gpu_model": name, "factor_pct": pct, "updated_at_ms": 0} for name, pct in FACTORS_PCT.items()]
    )
    op.add_column("providers", sa.Column("ask_pct", sa.Integer(), nullable=False, server_default="100"))
    op.add_column("jobs", sa.Column("hold_price_bps", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("run_price_bps", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("max_rate_halala_per_minute", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("prefers_price", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("job_attempts", sa.Column("price_bps", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("job_attempts", "price_bps")
    op.drop_column("jobs", "prefers_price")
    op.drop_column("jobs", "max_rate_halala_per_minute")
    op.drop_column("jobs", "run_price_bps")
    op.drop_column("jobs", "hold_price_bps")
    op.drop_column("providers", "ask_pct")
    op.drop_table("gpu_factors")
