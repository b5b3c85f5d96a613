"""Keys with the accounts behind them, of many at once: a fleet that comes back asks for all of its keys."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dc1.domain.access.call_limits import NO_LIMITS, UNLIMITED_KEY, CallLimits, KeyLimits
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import AccountStatus
from dc1.storage.accounts import key_limits, keys, renters
from dc1.storage.accounts.keys import KeyRow
from dc1.storage.schema.tables import providers


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A key that is not revoked, and its account, which is not gone.

    `owner_id` is whose machine it is the key of; None for an owner's own, and for renters. `has_replaced` says that
    keys of the same machine were replaced and have a grace.
    """

    key: KeyRow
    status: AccountStatus
    owner_id: int | None = None
    has_replaced: bool = False
    call_limits: CallLimits = NO_LIMITS
    key_limits: KeyLimits = UNLIMITED_KEY


def find(conn: Connection, key_ids: Collection[str], now_ms: int) -> Mapping[str, KeyHolder]:
    """Return who holds these keys, by the key's public id, of those that somebody holds."""
    live = {key.key_id: key for key in keys.find_all(conn, key_ids) if key.revoked_at_ms is None}
    machines = [key for key in live.values() if key.role is KeyRole.PROVIDER]
    people = [key for key in live.values() if key.role is not KeyRole.PROVIDER]
    return {**_machines(conn, machines, now_ms), **_people(conn, people)}


def _machines(conn: Connection, held: Collection[KeyRow], now_ms: int) -> Mapping[str, KeyHolder]:
    if not held:
        return {}
    ids = {key.owner_id for key in held}
    accounts = select(providers.c.id, providers.c.owner_id).where(
        providers.c.id.in_(ids), providers.c.deleted_at_ms.is_(None)
    )
    owners = {row.id: row.owner_id for row in conn.execute(accounts)}
    replaced = keys.owners_in_grace(conn, KeyRole.PROVIDER, ids, now_ms)
    return {
        key.key_id: KeyHolder(key, AccountStatus.ACTIVE, owners[key.owner_id], key.owner_id in replaced)
        for key in held
        if key.owner_id in owners
    }


def _people(conn: Connection, held: Collection[KeyRow]) -> Mapping[str, KeyHolder]:
    accounts = {owner_id: renters.get(conn, owner_id) for owner_id in {key.owner_id for key in held}}
    limits = key_limits.of_keys(conn, [key.key_id for key in held]) if held else {}
    return {
        key.key_id: KeyHolder(key, renter.status, call_limits=renter.call_limits, key_limits=limits[key.key_id])
        for key in held
        if (renter := accounts[key.owner_id]) is not None and renter.status is not AccountStatus.DELETED
    }
