"""The double-entry ledger and the running totals.

An account is known by what it is and whose it is. System accounts are split in shards, told apart by `owner_id`,
so that concurrent settlements do not queue behind one row.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.domain.money.withdrawals import WithdrawalStatus
from dc1.storage.schema.columns import PlainText, RowId, StoredEnum, counter, metadata, one_of, time_column

accounts = Table(
    "accounts",
    metadata,
    Column("kind", StoredEnum(AccountKind), primary_key=True),
    Column("owner_id", BigInteger, primary_key=True, autoincrement=False),
    counter("balance_halala"),
    one_of("kind", AccountKind, "kind"),
    # The last word on money: a mistake in the code can fail here, but overdraw nobody.
    CheckConstraint(
        "balance_halala >= 0 OR kind IN ('promo', 'external', 'adjustment', 'platform')", name="not_negative"
    ),
    CheckConstraint("kind <> 'wallet' OR balance_halala <= 2000000000", name="wallet_limit"),
)

movements = Table(
    "movements",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", StoredEnum(MovementKind), nullable=False),
    Column("ref", Text, nullable=False),
    Column("amount_halala", BigInteger, nullable=False),
    Column("job_id", BigInteger, ForeignKey("jobs.id")),
    # How much of the amount is starter credit.
    counter("promo_halala"),
    Column("note", PlainText),
    time_column("created_at_ms"),
    # What is posted twice is refused instead of paid twice.
    UniqueConstraint("kind", "ref"),
    CheckConstraint("amount_halala > 0", name="amount"),
)

Index("ix_movements_created_at_ms", movements.c.created_at_ms)

postings = Table(
    "postings",
    metadata,
    Column("movement_id", BigInteger, ForeignKey("movements.id"), primary_key=True, autoincrement=False),
    Column("account_kind", StoredEnum(AccountKind), primary_key=True),
    Column("owner_id", BigInteger, primary_key=True, autoincrement=False),
    Column("amount_halala", BigInteger, nullable=False),
    Column("balance_after_halala", BigInteger, nullable=False),
    ForeignKeyConstraint(["account_kind", "owner_id"], ["accounts.kind", "accounts.owner_id"]),
    CheckConstraint("amount_halala <> 0", name="amount"),
)
# The history of an account, newest movement last.
Index("ix_postings_account", postings.c.account_kind, postings.c.owner_id, postings.c.movement_id)

# What a provider earned from each renter's starter credit, and how much of it may be withdrawn.
promo_earnings = Table(
    "promo_earnings",
    metadata,
    Column("provider_id", BigInteger, ForeignKey("providers.id"), primary_key=True, autoincrement=False),
    Column("renter_id", BigInteger, ForeignKey("renters.id"), primary_key=True, autoincrement=False),
    counter("earned_halala"),
    counter("released_halala"),
    CheckConstraint("released_halala BETWEEN 0 AND earned_halala", name="released"),
)
Index("ix_promo_earnings_renter_id", promo_earnings.c.renter_id)

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("withdrawal_id", PlainText, nullable=False, unique=True),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    Column("amount_halala", BigInteger, nullable=False),
    # How much of it was earned from starter credit and released.
    counter("promo_halala"),
    Column("iban", Text, nullable=False),
    Column("status", StoredEnum(WithdrawalStatus), nullable=False),
    Column("reason", PlainText),
    Column("bank_reference", PlainText),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
    one_of("status", WithdrawalStatus, "status"),
    CheckConstraint("amount_halala > 0", name="amount"),
)
Index("ix_withdrawals_provider_id_id", withdrawals.c.provider_id, withdrawals.c.id)
Index("ix_withdrawals_status_id", withdrawals.c.status, withdrawals.c.id)
_OPEN = text("status IN ('pending', 'processing')")
# A provider has one open withdrawal at most, whoever asks at the same time.
Index("uq_withdrawals_open", withdrawals.c.provider_id, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)

totals = Table(
    "totals",
    metadata,
    # Day 0 holds the sums of all time; any other day is the first millisecond of a UTC day.
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("day_ms", BigInteger, primary_key=True, autoincrement=False),
    counter("renters"),
    counter("renters_active"),
    counter("wallets_halala"),
    counter("jobs_queued"),
    counter("jobs_pending"),
    counter("jobs_running"),
    counter("jobs_completed"),
    counter("jobs_failed"),
    counter("jobs_cancelled"),
    counter("completed_revenue_halala"),
    counter("completed_fees_halala"),
    counter("charged_jobs"),
    counter("charged_halala"),
    counter("charged_platform_halala"),
    counter("charged_provider_halala"),
)
