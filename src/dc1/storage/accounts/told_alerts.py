"""Alerts that people were told of, so that each is told once while it lasts, whichever server sees it."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from dc1.domain.providers.alerts import AlertReason
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import told_alerts

AlertKey: TypeAlias = tuple[int, AlertReason]

_OVER_MS = 600_000
"""How long nobody sees an alert before it is over: servers know different machines best, and some faults flicker."""

_RENEW_MS = 240_000


def read(conn: Connection) -> Mapping[AlertKey, int]:
    """Return when each alert that was told was last seen, by machine and reason."""
    query = select(told_alerts.c.provider_id, told_alerts.c.reason, told_alerts.c.seen_at_ms)
    return {(provider_id, reason): seen_ms for provider_id, reason, seen_ms in conn.execute(query)}


def is_changed(known: Mapping[AlertKey, int], found: Collection[AlertKey], now_ms: int) -> bool:
    """Tell whether `note` would write anything, so that most looks cost a read alone."""
    return any(now_ms - known.get(key, 0) >= _RENEW_MS for key in found) or bool(_over(known, found, now_ms))


def note(conn: Connection, found: Collection[AlertKey], now_ms: int) -> set[AlertKey]:
    """Keep what is seen now, forget what is over, and return what is new."""
    known = read(conn)
    for key in _over(known, found, now_ms):
        conn.execute(delete(told_alerts).where(_is(key)))
    for key in known.keys() & set(found):
        if now_ms - known[key] >= _RENEW_MS:
            conn.execute(update(told_alerts).where(_is(key)).values(seen_at_ms=now_ms))
    return {key for key in set(found) - known.keys() if _is_first(conn, key, now_ms)}


def _over(known: Mapping[AlertKey, int], found: Collection[AlertKey], now_ms: int) -> list[AlertKey]:
    seen = set(found)
    return [key for key, seen_ms in known.items() if key not in seen and now_ms - seen_ms >= _OVER_MS]


def _is(key: AlertKey) -> ColumnElement[bool]:
    return and_(told_alerts.c.provider_id == key[0], told_alerts.c.reason == key[1])


def _is_first(conn: Connection, key: AlertKey, now_ms: int) -> bool:
    # Another server may see it at the same time: the row belongs to one of them.
    row = {"provider_id": key[0], "reason": key[1], "seen_at_ms": now_ms}
    statement = upsert(conn, told_alerts, ("provider_id", "reason"), new=("seen_at_ms",), returning=("provider_id",))
    return bool(list(statement.rows(conn, row)))
