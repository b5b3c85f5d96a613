"""Owners' accounts and the machines in them: an owner is its first machine, further ones name it.

Of two rows that are locked an owner's comes first; its id is the smaller one.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from dc1.domain import errors
from dc1.storage.engine.row_mapping import inserted_id
from dc1.storage.providers.providers import NO_CHANNEL, of_account
from dc1.storage.schema.tables import account_id_of, providers

_OPEN = providers.c.deleted_at_ms.is_(None)
_SHARED = (
    "run_mode",
    "scheduled_start",
    "scheduled_end",
    "gpu_usage_cap_pct",
    "vram_reserve_gb",
    "temp_limit_c",
    "ask_pct",
)
"""What a new machine takes over of the owner's settings."""


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A further machine of an owner; `os` is linux, windows or mac, `vram_mib` and `gpu_count` what was declared."""

    name: str
    gpu_model: str
    os: str
    location: str | None = None
    vram_mib: int | None = None
    gpu_count: int | None = None
    resource_spec: Any = None
    registered_from: str | None = None


def add_machine(conn: Connection, owner_id: int, new: NewMachine, most: int, now_ms: int) -> int:
    """Put a machine that waits for approval into an owner's account and return its id.

    Raises:
        provider_not_found: there is no such owner, or no more.
        machine_limit_reached: the account has `most` machines.
    """
    wanted = (providers.c.id == owner_id, providers.c.owner_id.is_(None), _OPEN)
    columns = [providers.c[name] for name in (*_SHARED, "is_suspended")]
    # Held until the end, so that of two that are added at once the second counts the first, and none outlives the
    # account or its suspension.
    owner = conn.execute(select(*columns).where(*wanted).with_for_update(key_share=True)).mappings().first()
    if owner is None:
        raise errors.provider_not_found()
    if count(conn, owner_id) >= most:
        raise errors.machine_limit_reached(most)
    values = asdict(new) | {name: owner[name] for name in _SHARED}
    values |= {
        "owner_id": owner_id,
        "owner_suspended": owner["is_suspended"],
        # Addresses are unique; one that ends like this can belong to nobody.
        "email": f"machine-{secrets.token_hex(8)}@account.invalid",
        "created_at_ms": now_ms,
    }
    return inserted_id(conn.execute(insert(providers), values))


def count(conn: Connection, owner_id: int) -> int:
    """Return how many machines an account has."""
    query = select(func.count()).select_from(providers).where(providers.c.id.in_(of_account(owner_id)), _OPEN)
    return conn.execute(query).scalar_one()


def machine_ids(conn: Connection, owner_id: int) -> list[int]:
    """Return the machines of an account that were not removed, by id."""
    return list(conn.scalars(of_account(owner_id).where(_OPEN).order_by(providers.c.id)))


def earned_by_machine(conn: Connection, owner_id: int) -> dict[int, int]:
    """Return what each machine of an account has earned, in halala, removed ones included."""
    query = select(providers.c.id, providers.c.total_earned_halala).where(providers.c.id.in_(of_account(owner_id)))
    return {machine_id: int(earned) for machine_id, earned in conn.execute(query)}


def account_of(conn: Connection, provider_id: int) -> int:
    """Return the owner's account that a machine belongs to."""
    query = select(account_id_of(providers)).where(providers.c.id == provider_id)
    return int(conn.execute(query).scalar_one())


def set_suspended(conn: Connection, provider_id: int, suspended: bool) -> dict[int, bool]:
    """Suspend or unsuspend a machine, with an owner all of its machines; return who of them is suspended now.

    Nobody when there is no such provider.
    """
    own = update(providers).where(providers.c.id == provider_id, _OPEN).values(is_suspended=suspended)
    if not conn.execute(own).rowcount:
        return {}
    machines = update(providers).where(providers.c.owner_id == provider_id).values(owner_suspended=suspended)
    conn.execute(machines)
    found = select(providers.c.id, or_(providers.c.is_suspended, providers.c.owner_suspended))
    return {
        row[0]: bool(row[1]) for row in conn.execute(found.where(providers.c.id.in_(of_account(provider_id)), _OPEN))
    }


def mark_deleted(conn: Connection, provider_id: int, now_ms: int, erase_at_ms: int | None = None) -> list[int]:
    """Close a machine, with an owner the account and all of its machines; return their ids, none when it is closed.

    They keep their rows, books and history; their personal data is erased at `erase_at_ms`.
    """
    # Nobody waits for their daemons any more.
    closed = {"deleted_at_ms": now_ms, "erase_at_ms": erase_at_ms, "channel": NO_CHANNEL}
    # The account first: who adds a machine holds it, and the next statement sees what was added.
    if not conn.execute(update(providers).where(providers.c.id == provider_id, _OPEN).values(closed)).rowcount:
        return []
    machines = list(
        conn.scalars(select(providers.c.id).where(providers.c.owner_id == provider_id, _OPEN).order_by(providers.c.id))
    )
    conn.execute(update(providers).where(providers.c.id.in_(machines)).values(closed))
    return [provider_id, *machines]
