"""The double-entry ledger: accounts, immutable movements of two postings each, and the proof that they agree.

All amounts are integer halala. A posting on an account raises its balance by `amount_halala`; the two postings of a
movement sum to zero, so all balances together always do. The accounts that money comes from (promo, external,
adjustment) are the only ones that may go below zero; the database refuses it for every other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, and_, bindparam, case, insert, or_, select, update

from dc1.domain.money.bookkeeping import AccountKind, MovementKind
from dc1.storage.engine.statements import Answer, PreparedStatement, numbered_rows
from dc1.storage.schema.tables import accounts, movements, postings, providers

SHARDS = 8
"""How many rows each system account is split into."""


class Account(NamedTuple):
    """An account's name: its kind and its owner (renter, provider, or the shard of a system account)."""

    kind: AccountKind
    owner_id: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement to make: `amount` (> 0) from `source` to `target`; (kind, ref) happens once in all time.

    `promo` is how much of the amount is starter credit.
    """

    kind: MovementKind
    ref: str
    amount: int
    source: Account
    target: Account
    job_id: int | None = None
    note: str | None = None
    promo: int = 0


def wallet(renter_id: int) -> Account:
    """Return what a renter can spend."""
    return Account(AccountKind.WALLET, renter_id)


def hold(renter_id: int) -> Account:
    """Return what a renter has prepaid for open jobs."""
    return Account(AccountKind.HOLD, renter_id)


def payable(provider_id: int) -> Account:
    """Return what a provider has earned and not yet asked for."""
    return Account(AccountKind.PAYABLE, provider_id)


def promo_earnings(provider_id: int) -> Account:
    """Return what a provider has earned from starter credit and may not ask for yet."""
    return Account(AccountKind.PROMO_EARNINGS, provider_id)


def payout(provider_id: int) -> Account:
    """Return what a provider has asked for and not yet been paid."""
    return Account(AccountKind.PAYOUT, provider_id)


def system(kind: AccountKind, key: int) -> Account:
    """Return the shard of a system account that serves `key`."""
    return Account(kind, key % SHARDS)


def open_accounts(conn: Connection, *names: Account) -> None:
    """Create accounts with a balance of zero."""
    conn.execute(insert(accounts), [{"kind": name.kind, "owner_id": name.owner_id} for name in names])


def balance(conn: Connection, account: Account) -> int:
    """Return the balance of one account; 0 for an account that was never opened."""
    query = select(accounts.c.balance_halala).where(
        accounts.c.kind == account.kind, accounts.c.owner_id == account.owner_id
    )
    return conn.execute(query).scalar() or 0


def lock_owners(conn: Connection, provider_ids: Sequence[int]) -> None:
    """Hold what these providers have until the transaction ends, in the order that all take."""
    wanted = select(providers.c.id).where(providers.c.id.in_(provider_ids)).order_by(providers.c.id)
    conn.execute(wanted.with_for_update(key_share=True)).all()


def post(conn: Connection, transfers: Sequence[Transfer], now_ms: int) -> list[int]:
    """Make all movements or none and return their ids, in order.

    The database refuses a movement that was made before and a balance that would leave its range (IntegrityError);
    callers that can tell the user why decide so before they post.
    """
    if not transfers:
        return []
    applied, inserted = _apply_deltas(conn, transfers), _insert_movements(conn, transfers, now_ms)
    running = applied()
    # Postings say the balance after themselves: walk back to the start, then forward again.
    for transfer in transfers:
        running[transfer.source] += transfer.amount
        running[transfer.target] -= transfer.amount
    # By what tells them apart: no order of what an INSERT returns is promised.
    ids = {(kind, ref): movement_id for movement_id, kind, ref in inserted()}
    movement_ids = [ids[transfer.kind, transfer.ref] for transfer in transfers]
    values: dict[str, Any] = {}
    for index, (movement_id, account, amount) in enumerate(_sides(movement_ids, transfers)):
        running[account] += amount
        posting = (movement_id, account.kind, account.owner_id, amount, running[account])
        values |= {f"{name}_{index}": value for name, value in zip(_POSTING, posting, strict=True)}
    _posting_insert(2 * len(transfers)).send(conn, values)
    return movement_ids


_MOVEMENT = ("kind", "ref", "amount_halala", "promo_halala", "job_id", "note", "created_at_ms")
_POSTING = ("movement_id", "account_kind", "owner_id", "amount_halala", "balance_after_halala")


def _sides(movement_ids: Sequence[int], transfers: Sequence[Transfer]) -> Iterator[tuple[int, Account, int]]:
    """Yield the two postings of each movement: its id, the account and the amount."""
    for movement_id, transfer in zip(movement_ids, transfers, strict=True):
        yield movement_id, transfer.source, -transfer.amount
        yield movement_id, transfer.target, transfer.amount


# Cached by count, of which there are few: a settlement makes at most four movements of two postings each.
@cache
def _posting_insert(count: int) -> PreparedStatement:
    """Return one statement that stores `count` postings."""
    return PreparedStatement(insert(postings).values(numbered_rows(postings, _POSTING, count)))


@cache
def _movement_insert(count: int) -> PreparedStatement:
    """Return one statement that stores `count` movements; (kind, ref) refuses what was made before."""
    statement = insert(movements).values(numbered_rows(movements, _MOVEMENT, count))
    return PreparedStatement(statement.returning(movements.c.id, movements.c.kind, movements.c.ref))


def _insert_movements(conn: Connection, transfers: Sequence[Transfer], now_ms: int) -> Answer:
    values: dict[str, Any] = {}
    for index, each in enumerate(transfers):
        movement = (each.kind, each.ref, each.amount, each.promo, each.job_id, each.note, now_ms)
        values |= {f"{name}_{index}": value for name, value in zip(_MOVEMENT, movement, strict=True)}
    return _movement_insert(len(transfers)).ask(conn, values)


def _apply_deltas(conn: Connection, transfers: Sequence[Transfer]) -> Callable[[], dict[Account, int]]:
    # Summed by account first: one statement changes a row only once.
    deltas: dict[Account, int] = {}
    for transfer in transfers:
        deltas[transfer.source] = deltas.get(transfer.source, 0) - transfer.amount
        deltas[transfer.target] = deltas.get(transfer.target, 0) + transfer.amount
    values: dict[str, Any] = {}
    for index, (account, delta) in enumerate(deltas.items()):
        values |= {f"kind_{index}": account.kind, f"owner_{index}": account.owner_id, f"delta_{index}": delta}
    answer = _balance_update(len(deltas)).ask(conn, values)

    def balances() -> dict[Account, int]:
        rows = answer()
        # An account that nobody opened would swallow money without a trace.
        if len(rows) != len(deltas):
            raise LookupError(f"not every account is open: {sorted(deltas)}")
        return {Account(kind, owner_id): balance for kind, owner_id, balance in rows}

    return balances


@cache
def _balance_update(count: int) -> PreparedStatement:
    """Return one statement that changes `count` balances, each by its own amount."""
    matches = [
        and_(accounts.c.kind == bindparam(f"kind_{index}"), accounts.c.owner_id == bindparam(f"owner_{index}"))
        for index in range(count)
    ]
    delta = case(*[(match, bindparam(f"delta_{index}", type_=BigInteger)) for index, match in enumerate(matches)])
    return PreparedStatement(
        update(accounts)
        .where(or_(*matches))
        .values(balance_halala=accounts.c.balance_halala + delta)
        .returning(accounts.c.kind, accounts.c.owner_id, accounts.c.balance_halala)
    )
