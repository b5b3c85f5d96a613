"""Answers kept under an Idempotency-Key, in the same transaction as their effect.

A unit of work that honours a key calls `begin` before its effect and `keep` after it. Both happen in one
transaction, so an answer exists exactly if its effect does.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, bindparam, select

from dc1.domain import errors
from dc1.storage.accounts.name_locks import try_to_lock_name
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.row_mapping import Shape
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.schema.tables import idempotent_answers

# What a client is told to wait; a call under a key rarely takes as long.
_COME_BACK_SECONDS = 1


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What an answer is kept under: whose call it was, of which route, with which key."""

    account: str
    route: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was sent, byte for byte."""

    request_hash: str
    status: int
    body: bytes
    expires_at_ms: int


_table = idempotent_answers
_shape = Shape(KeptAnswer, _table)
_KEY = ("account", "route", "key")
_FIND = PreparedStatement(
    select(*_shape.columns).where(*[_table.c[name] == bindparam(name, type_=_table.c[name].type) for name in _KEY])
)


def begin(conn: Connection, key: IdempotencyKey, request_hash: str, now_ms: int) -> KeptAnswer | None:
    """Return the answer to replay, or None when the call is new; a new call owns the key until its transaction ends.

    Refuses as `find` does.

    Raises:
        idempotency_in_progress: another transaction works under the key.
    """
    # Owned before it is looked for, or whoever owned it could commit between the look and the lock. Not waited for: a
    # client that repeats itself must not bind a connection with each attempt.
    owned = try_to_lock_name(conn, "\n".join((key.account, key.route, key.key)))
    kept = find(conn, key, request_hash, now_ms)
    if kept is None and not owned:
        raise errors.idempotency_in_progress(_COME_BACK_SECONDS)
    return kept


def find(conn: Connection, key: IdempotencyKey, request_hash: str, now_ms: int) -> KeptAnswer | None:
    """Return the answer to replay, or None when there is none yet.

    Raises:
        idempotency_mismatch: the key came with another request before.
    """
    kept = _shape.first(_FIND.rows(conn, asdict(key)))
    if kept is None or kept.expires_at_ms <= now_ms:
        return None
    if kept.request_hash != request_hash:
        raise errors.idempotency_mismatch()
    return kept


def keep(conn: Connection, key: IdempotencyKey, answer: KeptAnswer) -> None:
    """Store the answer to a call that `begin` said is new."""
    statement = upsert(conn, _table, _KEY, replace=tuple(_shape.names))
    statement.send(conn, asdict(key) | _shape.values(answer))


def purge(conn: Connection, now_ms: int, limit: int) -> int:
    """Forget answers that have expired, `limit` at most; return how many."""
    return forget_oldest(conn, _table, _table.c.expires_at_ms, _table.c.expires_at_ms <= now_ms, limit=limit)
