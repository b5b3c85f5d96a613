"""The audit trail keeps who did what with admin rights."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from dc1.storage.engine.row_mapping import Page, Shape
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.schema.tables import audit_entries


@dataclass(frozen=True, slots=True)
class NewAuditEntry:
    """One admin call; `actor` is the fingerprint of a token, `provider_id` whom a decision was about."""

    at_ms: int
    actor: str
    method: str
    path: str
    status: int
    provider_id: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow(NewAuditEntry):
    """A stored entry."""

    id: int = 0


_new_shape = Shape(NewAuditEntry, audit_entries)
_shape = Shape(AuditRow, audit_entries)
_INSERT = PreparedStatement(insert(audit_entries), _new_shape.names)


def record(conn: Connection, entry: NewAuditEntry) -> None:
    """Append an entry."""
    _INSERT.send(conn, _new_shape.values(entry))


def page(conn: Connection, *, limit: int, offset: int = 0, provider_id: int | None = None) -> Page[AuditRow]:
    """Return entries, newest first, of one provider or of all."""
    matches = [] if provider_id is None else [audit_entries.c.provider_id == provider_id]
    query = select(*_shape.columns).where(*matches).order_by(audit_entries.c.id.desc()).limit(limit).offset(offset)
    total = conn.execute(select(func.count()).select_from(audit_entries).where(*matches)).scalar_one()
    return Page(_shape.all(conn.execute(query)), total)
