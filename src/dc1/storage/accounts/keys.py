"""API keys: found by their indexed id, kept as hashes only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, update

from dc1.domain.access.keys import KeyRole, NewKey
from dc1.domain.access.keys import hint as key_hint
from dc1.storage.engine.followed import COUNTS_ONLY
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.row_mapping import Shape, changed
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.schema.tables import api_keys


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key; `scopes` is None for a master key."""

    key_id: str
    key_hash: str
    role: KeyRole
    owner_id: int
    hint: str
    scopes: list[str] | None
    label: str | None
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    last_used_at_ms: int | None

    def is_live(self, now_ms: int) -> bool:
        """Tell whether the key is neither revoked nor expired."""
        return self.revoked_at_ms is None and (self.expires_at_ms is None or now_ms < self.expires_at_ms)

    @property
    def is_replaced(self) -> bool:
        """Whether a newer key took its place: it is over, or in its grace."""
        return self.revoked_at_ms is not None or in_grace(self.role, self.expires_at_ms)


def in_grace(role: KeyRole, expires_at_ms: int | None) -> bool:
    """Tell whether a key that is still good was replaced and has a grace."""
    # Nothing but a rotation gives a provider's key an end; a scoped key may be made with one.
    return role is KeyRole.PROVIDER and expires_at_ms is not None


_shape = Shape(KeyRow, api_keys)
_FIND = PreparedStatement(select(*_shape.columns).where(api_keys.c.key_id == bindparam("wanted")))
_TOUCH = (
    update(api_keys)
    .where(api_keys.c.key_id == bindparam("used"))
    .values(last_used_at_ms=bindparam("at"))
    .execution_options(**COUNTS_ONLY)
)


def add(
    conn: Connection,
    role: KeyRole,
    owner_id: int,
    key: NewKey,
    now_ms: int,
    *,
    scopes: list[str] | None = None,
    label: str | None = None,
    expires_at_ms: int | None = None,
) -> KeyRow:
    """Store the hash of a new key of `owner_id` (a renter, or a provider for provider keys)."""
    row = KeyRow(
        key_id=key.key_id,
        key_hash=key.key_hash,
        role=role,
        owner_id=owner_id,
        hint=key_hint(role, key.key_id),
        scopes=scopes,
        label=label,
        created_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
        revoked_at_ms=None,
        last_used_at_ms=None,
    )
    conn.execute(insert(api_keys), _shape.values(row))
    return row


def find(conn: Connection, key_id: str) -> KeyRow | None:
    """Return the key with this public id, live or not."""
    return _shape.first(_FIND.rows(conn, {"wanted": key_id}))


def find_all(conn: Connection, key_ids: Collection[str]) -> list[KeyRow]:
    """Return those keys of these public ids that there are, live or not."""
    if len(key_ids) == 1:
        return _shape.all(_FIND.rows(conn, {"wanted": next(iter(key_ids))}))
    return _shape.all(conn.execute(select(*_shape.columns).where(api_keys.c.key_id.in_(key_ids))))


def owners_in_grace(conn: Connection, role: KeyRole, owner_ids: Collection[int], now_ms: int) -> set[int]:
    """Return which of these owners have keys of this role that were replaced and are good for a while."""
    query = select(api_keys.c.owner_id).where(
        api_keys.c.owner_id.in_(owner_ids),
        api_keys.c.role == role,
        api_keys.c.revoked_at_ms.is_(None),
        api_keys.c.expires_at_ms > now_ms,
    )
    return set(conn.scalars(query))


def lock(conn: Connection, key_id: str) -> KeyRow | None:
    """Return a key and let nobody else change it before the transaction ends."""
    # Read by this statement and not before: it waits for who holds the lock, and sees what they made of the key.
    return _shape.first(conn.execute(select(*_shape.columns).where(api_keys.c.key_id == key_id).with_for_update()))


def revoke_in_grace(conn: Connection, role: KeyRole, owner_id: int, now_ms: int) -> int:
    """Stop the owner's keys that were replaced and have a grace; return how many there were."""
    statement = update(api_keys).where(
        api_keys.c.owner_id == owner_id,
        api_keys.c.role == role,
        api_keys.c.revoked_at_ms.is_(None),
        api_keys.c.expires_at_ms > now_ms,
    )
    return conn.execute(statement.values(revoked_at_ms=now_ms)).rowcount


def rotate(conn: Connection, role: KeyRole, owner_id: int, key: NewKey, now_ms: int) -> KeyRow:
    """Replace the owner's key of this role; every older one stops at once."""
    revoke_all(conn, role, owner_id, now_ms)
    return add(conn, role, owner_id, key, now_ms)


def rotate_with_grace(
    conn: Connection, role: KeyRole, owner_id: int, key: NewKey, now_ms: int, old_until_ms: int
) -> KeyRow:
    """Add a key to the owner's of this role; every older one stops at `old_until_ms`, or when it would have before."""
    # A key that ends sooner keeps its end: a grace never makes anything last longer.
    lasting = api_keys.c.expires_at_ms.is_(None) | (api_keys.c.expires_at_ms > old_until_ms)
    older = update(api_keys).where(
        api_keys.c.owner_id == owner_id, api_keys.c.role == role, api_keys.c.revoked_at_ms.is_(None), lasting
    )
    conn.execute(older.values(expires_at_ms=old_until_ms))
    return add(conn, role, owner_id, key, now_ms)


def expired_between(conn: Connection, role: KeyRole, after_ms: int, until_ms: int) -> set[str]:
    """Return ids of the keys of this role whose time ended in a span."""
    query = select(api_keys.c.key_id).where(
        api_keys.c.expires_at_ms > after_ms, api_keys.c.expires_at_ms <= until_ms, api_keys.c.role == role
    )
    return {row.key_id for row in conn.execute(query)}


def revoke(conn: Connection, role: KeyRole, owner_id: int, key_id: str, now_ms: int) -> bool:
    """Stop one key; False when the owner has no such key or it was stopped before."""
    statement = update(api_keys).where(
        api_keys.c.key_id == key_id,
        api_keys.c.role == role,
        api_keys.c.owner_id == owner_id,
        api_keys.c.revoked_at_ms.is_(None),
    )
    return changed(conn.execute(statement.values(revoked_at_ms=now_ms)))


def revoke_all(conn: Connection, role: KeyRole, owner_id: int, now_ms: int) -> None:
    """Stop every key of this role that the owner has."""
    statement = update(api_keys).where(
        api_keys.c.owner_id == owner_id, api_keys.c.role == role, api_keys.c.revoked_at_ms.is_(None)
    )
    conn.execute(statement.values(revoked_at_ms=now_ms))


def forget_labels(conn: Connection, renter_id: int) -> None:
    """Forget what a renter called the scoped keys."""
    of_renter = (api_keys.c.owner_id == renter_id, api_keys.c.role == KeyRole.SCOPED)
    conn.execute(update(api_keys).where(*of_renter).values(label=None))


def list_of(conn: Connection, role: KeyRole, owner_id: int) -> list[KeyRow]:
    """Return the owner's keys of this role, newest first, stopped ones included."""
    query = select(*_shape.columns).where(api_keys.c.owner_id == owner_id, api_keys.c.role == role)
    # The id decides between keys of one millisecond, so that the order stays.
    return _shape.all(conn.execute(query.order_by(api_keys.c.created_at_ms.desc(), api_keys.c.key_id)))


def count_live(conn: Connection, role: KeyRole, owner_id: int, now_ms: int) -> int:
    """Return how many of the owner's keys of this role work."""
    query = select(func.count()).where(
        api_keys.c.owner_id == owner_id,
        api_keys.c.role == role,
        api_keys.c.revoked_at_ms.is_(None),
        api_keys.c.expires_at_ms.is_(None) | (api_keys.c.expires_at_ms > now_ms),
    )
    return conn.execute(query).scalar_one()


def purge(conn: Connection, before_ms: int, limit: int) -> int:
    """Forget keys that were stopped or expired before then, `limit` of each at most; return how many were forgotten.

    Nothing else names a key: jobs, movements and the audit trail name accounts.
    """
    forgotten = 0
    for ended_at_ms in (api_keys.c.revoked_at_ms, api_keys.c.expires_at_ms):
        forgotten += forget_oldest(conn, api_keys, ended_at_ms, ended_at_ms < before_ms, limit=limit)
    return forgotten


def touch_many(conn: Connection, used: Mapping[str, int]) -> None:
    """Note when keys were last used: key id to epoch milliseconds, in one statement."""
    if used:
        # Sorted: replicas that note the uses of the same keys lock them in one order.
        conn.execute(_TOUCH, [{"used": key_id, "at": at} for key_id, at in sorted(used.items())])
