"""Events that daemons reported of themselves are kept for a while."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select

from dc1.domain.providers.reports import EventSeverity
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.row_mapping import Shape
from dc1.storage.schema.tables import daemon_events


@dataclass(frozen=True, slots=True)
class NewDaemonEvent:
    """Something that happened to a daemon; `details` is free JSON."""

    provider_id: int
    event_type: str
    severity: EventSeverity
    details: Any
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class DaemonEventRow(NewDaemonEvent):
    """A stored event."""

    id: int


_new_shape = Shape(NewDaemonEvent, daemon_events)
_shape = Shape(DaemonEventRow, daemon_events)
_INSERT = insert(daemon_events)


def record(conn: Connection, event: NewDaemonEvent) -> None:
    """Store an event."""
    conn.execute(_INSERT, _new_shape.values(event))


def latest(conn: Connection, since_ms: int, limit: int, provider_id: int | None = None) -> list[DaemonEventRow]:
    """Return events from then on of one provider or of all, newest first."""
    query = select(*_shape.columns).where(*_conditions(since_ms, provider_id))
    newest = (daemon_events.c.created_at_ms.desc(), daemon_events.c.id.desc())
    return _shape.all(conn.execute(query.order_by(*newest).limit(limit)))


def counts(conn: Connection, since_ms: int, provider_id: int | None = None) -> dict[EventSeverity, int]:
    """Return how many events there were from then on, by severity; every severity is there."""
    query = select(daemon_events.c.severity, func.count()).where(*_conditions(since_ms, provider_id))
    found = dict(tuple(row) for row in conn.execute(query.group_by(daemon_events.c.severity)))
    # Those that never happened too, for whoever draws them side by side.
    return {severity: int(found.get(severity, 0)) for severity in EventSeverity}


def _conditions(since_ms: int, provider_id: int | None) -> list[ColumnElement[bool]]:
    recent = daemon_events.c.created_at_ms >= since_ms
    return [recent] if provider_id is None else [recent, daemon_events.c.provider_id == provider_id]


def purge(conn: Connection, before_ms: int, limit: int) -> int:
    """Forget events that are older, `limit` of them at most; return how many."""
    at_ms = daemon_events.c.created_at_ms
    return forget_oldest(conn, daemon_events, at_ms, at_ms < before_ms, limit=limit)
