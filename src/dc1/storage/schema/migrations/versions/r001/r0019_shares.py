"""Each provider's exact share of calls, carried with the provider, and how much of what a renter paid released credit.

What providers carried so far is of money. Of a renter whose wallet has starter credit left, what was paid ahead is
credit, which is spent first. Withdrawals that were made before they told starter credit from cash are told now, by the
ledger: credit that was released when they were asked for, and not withdrawn before, went first.
"""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

COLUMN, PROMO = "carried_share_micro_halala", "carried_promo_share_micro_halala"
SOURCES = ("promo", "external", "adjustment")
KINDS = ("wallet", "hold", "payable", "promo_earnings", "payout", "platform", "promo", "external", "adjustment")


def upgrade() -> None:
    allow_below_zero((*SOURCES, "platform"))
    for table in ("providers", "jobs"):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN carried_fee_micro_halala TO {COLUMN}")
    op.add_column("providers", sa.Column(PROMO, sa.BigInteger(), nullable=False, server_default="0"))
    for name in (PROMO, "advance_halala"):
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("renters", sa.Column("carries_promo", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE renters SET carries_promo = (promo_halala > 0)")
    restore_advances()
    tell_credit_from_cash()


def restore_advances() -> None:
    """Know again what the way down called by another name; a database that never was here has none."""
    allow_changes("movements")
    renamed = sa.text(
        "UPDATE movements SET kind = :kind, ref = SUBSTR(ref, CAST(:start AS INTEGER))"
        " WHERE kind = 'promo_release' AND ref LIKE :named"
    )
    for kind in ("advance", "advance_promo"):
        op.get_bind().execute(renamed, {"kind": kind, "start": len(kind) + 2, "named": f"{kind}:job:%"})
    forbid_changes("movements")
    op.execute(
        "UPDATE jobs SET advance_halala = m.amount_halala FROM movements m"
        " WHERE m.job_id = jobs.id AND m.kind IN ('advance', 'advance_promo')"
    )


WITHDRAWALS = """
    SELECT w.id, w.provider_id, w.amount_halala AS amount, w.promo_halala AS promo, w.status, COALESCE((
        SELECT SUM(m.promo_halala)
        FROM postings p JOIN movements m ON m.id = p.movement_id
        WHERE p.account_kind = 'payable' AND p.owner_id = w.provider_id AND p.amount_halala > 0
            AND m.kind IN ('charge_provider', 'advance', 'promo_release') AND m.id < asked.id
    ), 0) AS released
    FROM withdrawals w JOIN movements asked ON asked.kind = 'withdrawal' AND asked.ref = 'withdrawal:' || w.id
    ORDER BY w.id
"""


def tell_credit_from_cash() -> None:
    bind = op.get_bind()
    taken: defaultdict[int, int] = defaultdict(int)
    for row in bind.execute(sa.text(WITHDRAWALS)).all():
        promo = max(row.promo, min(row.amount, int(row.released) - taken[row.provider_id]))
        if promo != row.promo:
            values = {"promo": promo, "id": row.id}
            bind.execute(sa.text("UPDATE withdrawals SET promo_halala = :promo WHERE id = :id"), values)
        # One that was returned left the credit where it was, for the next one: there is one at a time.
        if row.status not in ("failed", "rejected"):
            taken[row.provider_id] += promo


def allow_below_zero(kinds: tuple[str, ...]) -> None:
    allowed = f"balance_halala >= 0 OR kind IN ({', '.join(repr(kind) for kind in kinds)})"
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_accounts_not_negative"), "accounts", type_="check")
        op.create_check_constraint(op.f("ck_accounts_not_negative"), "accounts", allowed)
        return
    # SQLite cannot change a constraint: the table is copied. The postings refer to it by name and stay.
    op.create_table(
        "new_accounts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("balance_halala", sa.BigInteger(), nullable=False, server_default="0"),
        sa.CheckConstraint(allowed, name=op.f("ck_accounts_not_negative")),
        sa.CheckConstraint("kind <> 'wallet' OR balance_halala <= 2000000000", name=op.f("ck_accounts_wallet_limit")),
        sa.CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in KINDS)})", name=op.f("ck_accounts_kind")),
        sa.PrimaryKeyConstraint("kind", "owner_id", name=op.f("pk_accounts")),
    )
    op.execute("INSERT INTO new_accounts SELECT kind, owner_id, balance_halala FROM accounts")
    op.drop_table("accounts")
    op.rename_table("new_accounts", "accounts")


# In the words of the revision before: what the platform advanced is a release, of which its books find that no job
# knows it. What is carried with providers, by a rule that it did not have, is dropped; it is less than two halala each.
OLDER = (
    "UPDATE movements SET kind = 'promo_release', ref = kind || ':' || ref WHERE kind IN ('advance', 'advance_promo')",
    "UPDATE jobs SET carried_share_micro_halala = NULL",
    "UPDATE providers SET carried_share_micro_halala = 0",
)


def downgrade() -> None:
    allow_changes("movements")
    for statement in OLDER:
        op.execute(statement)
    forbid_changes("movements")
    op.drop_column("renters", "carries_promo")
    for name in ("advance_halala", PROMO):
        op.drop_column("jobs", name)
    op.drop_column("providers", PROMO)
    for table in ("jobs", "providers"):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {COLUMN} TO carried_fee_micro_halala")
    # The platform's account stays allowed below zero, where it may be.


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
