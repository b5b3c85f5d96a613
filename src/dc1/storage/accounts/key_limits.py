"""What scoped keys are held to under /v1; apart from the keys, as their budgets are."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from dc1.domain.access.call_limits import UNLIMITED_KEY, CallLimits, KeyLimits
from dc1.domain.access.provider_choice import ProviderChoice
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import api_keys, key_limits

_KEPT = (
    key_limits.c.requests_per_minute,
    key_limits.c.tokens_per_minute,
    key_limits.c.streams,
    key_limits.c.models,
    key_limits.c.provider_choice,
)


def of_keys(conn: Connection, key_ids: Iterable[str]) -> Mapping[str, KeyLimits]:
    """Return the limits of keys, of all that are asked for."""
    wanted = list(key_ids)
    rows = conn.execute(select(key_limits.c.key_id, *_KEPT).where(key_limits.c.key_id.in_(wanted)))
    found = {row[0]: KeyLimits(CallLimits(*row[1:4]), row[4], ProviderChoice.stored(row[5])) for row in rows}
    return {key_id: found.get(key_id, UNLIMITED_KEY) for key_id in wanted}


def keep(conn: Connection, key_id: str, limits: KeyLimits) -> None:
    """Store what a key is held to."""
    values: dict[str, Any] = {
        "requests_per_minute": limits.calls.requests_per_minute,
        "tokens_per_minute": limits.calls.tokens_per_minute,
        "streams": limits.calls.streams,
        "models": None if limits.models is None else list(limits.models),
        "provider_choice": limits.providers.to_store(),
    }
    # The key's row too, as other servers follow what changes in it, and look the key up again.
    conn.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(key_id=key_id))
    upsert(conn, key_limits, ("key_id",), replace=tuple(values)).run(conn, {"key_id": key_id} | values)
