"""What scoped keys may spend in a month, and what they have spent.

Apart from the keys: their rows are locked when uses are noted, by the key and not by the account, and replicas follow
what changes in them. Everything here is done under the lock of the account.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from dc1.domain.money.budgets import MonthlyBudget
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.schema.tables import key_budgets

_KEPT = (
    key_budgets.c.monthly_halala,
    key_budgets.c.month_ms,
    key_budgets.c.month_halala,
    key_budgets.c.told_thresholds,
)
_FIND = PreparedStatement(select(*_KEPT).where(key_budgets.c.key_id == bindparam("key")))
_GIVE_BACK = PreparedStatement(
    update(key_budgets)
    .where(key_budgets.c.key_id == bindparam("key"), key_budgets.c.month_ms == bindparam("month"))
    .values(month_halala=key_budgets.c.month_halala - bindparam("refund"))
)


@dataclass(frozen=True, slots=True)
class KeyBudget:
    """The budget of a key in the month that begins with `month_ms`."""

    key_id: str
    month_ms: int
    budget: MonthlyBudget


def of_key(conn: Connection, key_id: str, month_ms: int) -> KeyBudget:
    """Return the budget of a key in a month; one without limit where none was ever set."""
    rows = _FIND.rows(conn, {"key": key_id})
    return _read(key_id, month_ms, rows[0] if rows else None)


def of_keys(conn: Connection, key_ids: Iterable[str], month_ms: int) -> Mapping[str, MonthlyBudget]:
    """Return the budgets of keys in a month, of all that are asked for."""
    wanted = list(key_ids)
    query = select(key_budgets.c.key_id, *_KEPT).where(key_budgets.c.key_id.in_(wanted))
    found = {row[0]: tuple(row[1:]) for row in conn.execute(query)}
    return {key_id: _read(key_id, month_ms, found.get(key_id)).budget for key_id in wanted}


def _read(key_id: str, month_ms: int, row: tuple[int | None, int, int, int] | None) -> KeyBudget:
    if row is None:
        return KeyBudget(key_id, month_ms, MonthlyBudget(None))
    limit, counted_ms, used, told = row
    # Of another month only the limit holds.
    if counted_ms != month_ms:
        used, told = 0, 0
    return KeyBudget(key_id, month_ms, MonthlyBudget(limit, used, told))


def keep(conn: Connection, spent: KeyBudget) -> None:
    """Store what a key has spent in the month and what was told of it."""
    statement = upsert(conn, key_budgets, ("key_id",), replace=tuple(column.name for column in _KEPT))
    budget = spent.budget
    statement.send(
        conn,
        {
            "key_id": spent.key_id,
            "monthly_halala": budget.limit_halala,
            "month_ms": spent.month_ms,
            "month_halala": budget.used_halala,
            "told_thresholds": budget.told,
        },
    )


def give_back(conn: Connection, key_id: str, month_ms: int, refund_halala: int) -> None:
    """Take what an order of that month did not cost from what its key has spent, while that month runs."""
    _GIVE_BACK.send(conn, {"key": key_id, "month": month_ms, "refund": refund_halala})


def set_limit(conn: Connection, key_id: str, month_ms: int, limit_halala: int | None) -> KeyBudget:
    """Set what a key may spend in a month, None for any amount; another limit is told of anew."""
    now = of_key(conn, key_id, month_ms)
    if limit_halala != now.budget.limit_halala:
        now = KeyBudget(key_id, month_ms, MonthlyBudget(limit_halala, now.budget.used_halala))
        keep(conn, now)
    return now
