"""Starter credit apart from money: in wallets, in holds, in movements and in what providers earned.

Credit that was not spent yet is starter credit from now on, by the rule that it is spent before money. What providers
earned before stays theirs to withdraw: nobody told them otherwise when they did the work.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

OLD_KINDS = ("wallet", "hold", "payable", "payout", "platform", "promo", "external", "adjustment")
BOOKS = ("movements", "postings")
NEW_KINDS = ("wallet", "hold", "payable", "promo_earnings", "payout", "platform", "promo", "external", "adjustment")


def upgrade() -> None:
    allow_account_kinds(NEW_KINDS)
    op.add_column("movements", halala("promo_halala"))
    for name in ("promo_halala", "paid_halala"):
        op.add_column("renters", halala(name))
    op.add_column("jobs", halala("promo_held_halala"))
    op.add_column("jobs", sa.Column("promo_earned_halala", sa.BigInteger(), nullable=True))
    create_promo_earnings()
    op.execute("INSERT INTO accounts (kind, owner_id) SELECT 'promo_earnings', id FROM providers")
    op.execute(PAID_BY_RENTERS)
    attribute_unspent_credit()


def halala(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def create_promo_earnings() -> None:
    op.create_table(
        "promo_earnings",
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("renter_id", sa.BigInteger(), autoincrement=False, nullable=False),
        halala("earned_halala"),
        halala("released_halala"),
        sa.CheckConstraint("released_halala BETWEEN 0 AND earned_halala", name=op.f("ck_promo_earnings_released")),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_promo_earnings_provider_id_providers")
        ),
        sa.ForeignKeyConstraint(["renter_id"], ["renters.id"], name=op.f("fk_promo_earnings_renter_id_renters")),
        sa.PrimaryKeyConstraint("provider_id", "renter_id", name=op.f("pk_promo_earnings")),
    )
    op.create_index("ix_promo_earnings_renter_id", "promo_earnings", ["renter_id"])


# Top-ups less those that were reversed; credits by admins say nothing of a payment before this revision.
PAID_BY_RENTERS = """
    UPDATE renters SET paid_halala = COALESCE((
        SELECT SUM(p.amount_halala)
        FROM postings p JOIN movements m ON m.id = p.movement_id
        LEFT JOIN movements o ON m.kind = 'reversal' AND m.ref = 'entry:' || o.id AND o.kind = 'topup'
        WHERE p.account_kind = 'wallet' AND p.owner_id = renters.id AND (m.kind = 'topup' OR o.id IS NOT NULL)
    ), 0)
"""

UNSPENT = """
    SELECT m.id AS movement_id, r.id AS renter_id, w.balance_halala AS balance,
        m.amount_halala - COALESCE((
            SELECT SUM(j.actual_cost_halala) FROM jobs j WHERE j.renter_id = r.id
        ), 0) AS unspent
    FROM renters r
    JOIN movements m ON m.kind = 'starter_credit' AND m.ref = 'renter:' || r.id
    JOIN accounts w ON w.kind = 'wallet' AND w.owner_id = r.id
    WHERE NOT EXISTS (SELECT 1 FROM movements v WHERE v.kind = 'reversal' AND v.ref = 'entry:' || m.id)
    ORDER BY r.id
"""
OPEN_JOBS = """
    SELECT id, cost_halala FROM jobs
    WHERE renter_id = :renter AND cost_halala > 0 AND status IN ('queued', 'pending', 'running')
    ORDER BY id
"""


def attribute_unspent_credit() -> None:
    bind = op.get_bind()
    # The amounts stay as they are; only the new column is filled.
    allow_changes("movements")
    for row in bind.execute(sa.text(UNSPENT)).all():
        left = in_all = max(0, int(row.unspent))
        # What the wallet cannot hold is on hold: the oldest job took it first.
        for job in bind.execute(sa.text(OPEN_JOBS), {"renter": row.renter_id}).all():
            part = min(left, job.cost_halala)
            values = {"part": part, "job": job.id}
            bind.execute(sa.text("UPDATE jobs SET promo_held_halala = :part WHERE id = :job"), values)
            hold = "UPDATE movements SET promo_halala = :part WHERE kind = 'hold' AND job_id = :job"
            bind.execute(sa.text(hold), values)
            left -= part
        in_wallet = min(left, row.balance)
        # What was taken away by an operator is gone, and was never earned by anybody.
        values = {"part": in_all - left + in_wallet, "movement": row.movement_id}
        bind.execute(sa.text("UPDATE movements SET promo_halala = :part WHERE id = :movement"), values)
        values = {"part": in_wallet, "renter": row.renter_id}
        bind.execute(sa.text("UPDATE renters SET promo_halala = :part WHERE id = :renter"), values)
    forbid_changes("movements")


def allow_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{action}")
    else:
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_immutable")


def forbid_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are immutable'); END"
            )
    else:
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_immutable")


def allow_account_kinds(kinds: tuple[str, ...]) -> None:
    allowed = f"kind IN ({', '.join(repr(kind) for kind in kinds)})"
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_accounts_kind"), "accounts", type_="check")
        op.create_check_constraint(op.f("ck_accounts_kind"), "accounts", allowed)
        return
    # SQLite cannot change a constraint: the table is copied. The postings refer to it by name and stay.
    op.create_table(
        "new_accounts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        halala("balance_halala"),
        sa.CheckConstraint(
            "balance_halala >= 0 OR kind IN ('promo', 'external', 'adjustment')", name=op.f("ck_accounts_not_negative")
        ),
        sa.CheckConstraint("kind <> 'wallet' OR balance_halala <= 2000000000", name=op.f("ck_accounts_wallet_limit")),
        sa.CheckConstraint(allowed, name=op.f("ck_accounts_kind")),
        sa.PrimaryKeyConstraint("kind", "owner_id", name=op.f("pk_accounts")),
    )
    op.execute("INSERT INTO new_accounts SELECT kind, owner_id, balance_halala FROM accounts")
    op.drop_table("accounts")
    op.rename_table("new_accounts", "accounts")


# What was kept apart is money again, in the words of the revision before: one movement a job to its provider.
MERGED = (
    "DELETE FROM postings WHERE movement_id IN (SELECT id FROM movements WHERE kind = 'promo_release')",
    "DELETE FROM movements WHERE kind = 'promo_release'",
    """
    UPDATE postings SET amount_halala = amount_halala + CASE WHEN amount_halala > 0 THEN 1 ELSE -1 END * (
        SELECT k.amount_halala FROM movements m
        JOIN movements k ON k.kind = 'charge_provider_promo' AND k.ref = m.ref WHERE m.id = postings.movement_id
    )
    WHERE movement_id IN (
        SELECT m.id FROM movements m JOIN movements k ON k.kind = 'charge_provider_promo' AND k.ref = m.ref
        WHERE m.kind = 'charge_provider'
    )
    """,
    """
    UPDATE movements SET amount_halala = amount_halala + (
        SELECT k.amount_halala FROM movements k WHERE k.kind = 'charge_provider_promo' AND k.ref = movements.ref
    )
    WHERE kind = 'charge_provider' AND ref IN (SELECT ref FROM movements WHERE kind = 'charge_provider_promo')
    """,
    """
    DELETE FROM postings WHERE movement_id IN (
        SELECT k.id FROM movements k JOIN movements m ON m.kind = 'charge_provider' AND m.ref = k.ref
        WHERE k.kind = 'charge_provider_promo'
    )
    """,
    """
    DELETE FROM movements WHERE kind = 'charge_provider_promo'
        AND ref IN (SELECT ref FROM movements WHERE kind = 'charge_provider')
    """,
    "UPDATE movements SET kind = 'charge_provider' WHERE kind = 'charge_provider_promo'",
    "UPDATE postings SET account_kind = 'payable' WHERE account_kind = 'promo_earnings'",
    """
    UPDATE accounts SET balance_halala = balance_halala + (
        SELECT k.balance_halala FROM accounts k WHERE k.kind = 'promo_earnings' AND k.owner_id = accounts.owner_id
    )
    WHERE kind = 'payable'
    """,
    "DELETE FROM accounts WHERE kind = 'promo_earnings'",
    "UPDATE movements SET kind = 'admin_credit' WHERE kind = 'admin_payment'",
)


def downgrade() -> None:
    for table in BOOKS:
        allow_changes(table)
    for statement in MERGED:
        op.execute(statement)
    for table in BOOKS:
        forbid_changes(table)
    op.drop_table("promo_earnings")
    op.drop_column("jobs", "promo_earned_halala")
    op.drop_column("jobs", "promo_held_halala")
    for name in ("paid_halala", "promo_halala"):
        op.drop_column("renters", name)
    op.drop_column("movements", "promo_halala")
    allow_account_kinds(OLD_KINDS)
