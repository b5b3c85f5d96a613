"""Operators of the market: found by the public part of their token, of which a hash is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from dc1.domain.access.keys import NewKey
from dc1.domain.access.operators import Operator, OperatorRole
from dc1.domain.errors import admin_access_denied, operator_name_taken, operator_not_found
from dc1.storage.engine.followed import COUNTS_ONLY
from dc1.storage.engine.row_mapping import Page, Shape, inserted_id
from dc1.storage.schema.tables import operators


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """An operator; `methods` is None for all of the role, `created_by` as the audit trail says it."""

    id: int
    name: str
    role: OperatorRole
    methods: list[str] | None
    key_id: str
    key_hash: str
    created_at_ms: int
    created_by: str
    expires_at_ms: int | None
    revoked_at_ms: int | None
    last_used_at_ms: int | None


@dataclass(frozen=True, slots=True)
class NewOperator:
    """An operator to be."""

    name: str
    role: OperatorRole
    methods: list[str] | None
    created_by: str
    expires_at_ms: int | None


_shape = Shape(OperatorRow, operators)
_IN_FORCE = operators.c.revoked_at_ms.is_(None)
_TOUCH = (
    update(operators)
    .where(operators.c.id == bindparam("used"))
    .values(last_used_at_ms=bindparam("at"))
    .execution_options(**COUNTS_ONLY)
)


def add(conn: Connection, new: NewOperator, key: NewKey, now_ms: int) -> OperatorRow:
    """Store an operator with the hash of a token.

    Raises:
        operator_name_taken: One that is not revoked has the name.
    """
    same_name = select(operators.c.id).where(operators.c.name == new.name, _IN_FORCE)
    if conn.execute(same_name).first() is not None:
        raise operator_name_taken()
    values = {
        "name": new.name,
        "role": new.role,
        "methods": new.methods,
        "key_id": key.key_id,
        "key_hash": key.key_hash,
        "created_at_ms": now_ms,
        "created_by": new.created_by,
        "expires_at_ms": new.expires_at_ms,
    }
    try:
        operator_id = inserted_id(conn.execute(insert(operators), values))
    except IntegrityError as error:
        # Another replica gave the name since we looked.
        raise operator_name_taken() from error
    return get(conn, operator_id)


def require_current(conn: Connection, caller: Operator | None, now_ms: int) -> None:
    """Hold the token that a call came with until the transaction ends, which makes tokens by its right.

    The call was let in a moment ago, perhaps by a replica that had not heard yet: whoever stole a token must not have
    another when it is revoked. None is the admin token.

    Raises:
        admin_access_denied: It was revoked or replaced meanwhile, or has expired.
    """
    if caller is not None and not _is_current(_locked(conn, caller.id)[caller.id], caller, now_ms):
        raise admin_access_denied()


def lock(conn: Connection, operator_id: int, caller: Operator | None, now_ms: int) -> OperatorRow:
    """Return an operator and let nobody else change it before the transaction ends; refuses as `require_current` does.

    Raises:
        admin_access_denied: The caller's own token is good no more.
        operator_not_found: There is none of this id.
    """
    rows = _locked(conn, operator_id, *(() if caller is None else (caller.id,)))
    if caller is not None and not _is_current(rows[caller.id], caller, now_ms):
        raise admin_access_denied()
    if operator_id not in rows:
        raise operator_not_found()
    return rows[operator_id]


def _locked(conn: Connection, *operator_ids: int) -> Mapping[int, OperatorRow]:
    # In one order, as two operators may change each other.
    query = select(*_shape.columns).where(operators.c.id.in_(operator_ids)).order_by(operators.c.id).with_for_update()
    return {row.id: row for row in _shape.all(conn.execute(query))}


def _is_current(row: OperatorRow, caller: Operator, now_ms: int) -> bool:
    has_expired = row.expires_at_ms is not None and now_ms >= row.expires_at_ms
    return row.revoked_at_ms is None and row.key_id == caller.key_id and not has_expired


def replace_token(conn: Connection, operator_id: int, key: NewKey, expires_at_ms: int | None) -> OperatorRow:
    """Give an operator another token; the old one is good no more."""
    values = {"key_id": key.key_id, "key_hash": key.key_hash, "expires_at_ms": expires_at_ms}
    conn.execute(update(operators).where(operators.c.id == operator_id).values(**values))
    return get(conn, operator_id)


def revoke(conn: Connection, operator_id: int, now_ms: int) -> OperatorRow:
    """Stop an operator's token for good; one that is revoked keeps its time."""
    conn.execute(update(operators).where(operators.c.id == operator_id, _IN_FORCE).values(revoked_at_ms=now_ms))
    return get(conn, operator_id)


def page(conn: Connection, *, limit: int, offset: int = 0) -> Page[OperatorRow]:
    """Return operators, newest first, of all that there ever were."""
    query = select(*_shape.columns).order_by(operators.c.id.desc()).limit(limit).offset(offset)
    total = conn.execute(select(func.count()).select_from(operators)).scalar_one()
    return Page(_shape.all(conn.execute(query)), total)


def in_force(conn: Connection) -> Sequence[OperatorRow]:
    """Return those who are not revoked."""
    return _shape.all(conn.execute(select(*_shape.columns).where(_IN_FORCE)))


def touch_many(conn: Connection, used: Mapping[int, int]) -> None:
    """Note when operators last called: id to epoch milliseconds, in one statement."""
    if used:
        # Sorted: replicas that note the uses of the same operators lock them in one order.
        conn.execute(_TOUCH, [{"used": operator_id, "at": at} for operator_id, at in sorted(used.items())])


def get(conn: Connection, operator_id: int) -> OperatorRow:
    """Return an operator that there is."""
    row = _shape.first(conn.execute(select(*_shape.columns).where(operators.c.id == operator_id)))
    assert row is not None
    return row
