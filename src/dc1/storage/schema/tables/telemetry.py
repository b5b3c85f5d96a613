"""What daemons measured, summed by the minute."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table

from dc1.storage.schema.tables.base import metadata

provider_minutes = Table(
    "provider_minutes",
    metadata,
    Column("provider_id", BigInteger, ForeignKey("providers.id"), primary_key=True, autoincrement=False),
    Column("minute_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("gpu_util_pct_sum", Float, nullable=False),
    Column("gpu_util_pct_count", Integer, nullable=False),
    Column("temp_c_sum", Float, nullable=False),
    Column("temp_c_count", Integer, nullable=False),
    Column("power_w_sum", Float, nullable=False),
    Column("power_w_count", Integer, nullable=False),
    Column("free_vram_mib_sum", Float, nullable=False),
    Column("free_vram_mib_count", Integer, nullable=False),
)
Index("ix_provider_minutes_minute_ms", provider_minutes.c.minute_ms)
