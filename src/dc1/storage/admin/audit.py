"""The audit trail keeps who did what with admin rights, and how often others tried to."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, update

from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.row_mapping import Page, Shape, inserted_id
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.schema.tables import audit_entries


@dataclass(frozen=True, slots=True)
class NewAuditEntry:
    """One admin call; `actor` is an operator or the fingerprint of a token, `provider_id` whom a decision was about.

    With a `reason` it stands for `calls` that were not let in.
    """

    at_ms: int
    actor: str
    method: str
    path: str
    status: int
    provider_id: int | None = None
    detail: str | None = None
    reason: str | None = None
    calls: int = 1


@dataclass(frozen=True, slots=True)
class AuditRow(NewAuditEntry):
    """A stored entry."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Who made the calls that an entry stands for, and how many there were."""

    entry_id: int
    actor: str
    calls: int


_new_shape = Shape(NewAuditEntry, audit_entries)
_shape = Shape(AuditRow, audit_entries)
_INSERT = PreparedStatement(insert(audit_entries), _new_shape.names)
_TALLY = (
    update(audit_entries)
    .where(audit_entries.c.id == bindparam("entry"))
    .values(actor=bindparam("by"), calls=bindparam("made"))
)


def record(conn: Connection, entry: NewAuditEntry) -> None:
    """Append an entry."""
    _INSERT.send(conn, _new_shape.values(entry))


def begin(conn: Connection, entry: NewAuditEntry) -> int:
    """Append an entry that will be counted on, and return its id."""
    return inserted_id(conn.execute(insert(audit_entries), _new_shape.values(entry)))


def tally(conn: Connection, tallies: Sequence[Tally]) -> None:
    """Write anew who made the calls of some entries, and how many there were."""
    # Sorted, so that two that write the same rows lock them in one order.
    by_id = sorted(tallies, key=lambda each: each.entry_id)
    conn.execute(_TALLY, [{"entry": each.entry_id, "by": each.actor, "made": each.calls} for each in by_id])


def purge(conn: Connection, acts_before_ms: int, refused_before_ms: int, limit: int) -> int:
    """Forget acts and refusals that are older than that, `limit` of each at most; return how many were forgotten."""
    forgotten = 0
    for of_kind, before_ms in (
        (audit_entries.c.reason.is_(None), acts_before_ms),
        (audit_entries.c.reason.is_not(None), refused_before_ms),
    ):
        old = audit_entries.c.at_ms < before_ms
        forgotten += forget_oldest(conn, audit_entries, audit_entries.c.at_ms, of_kind, old, limit=limit)
    return forgotten


def page(conn: Connection, *, limit: int, offset: int = 0, provider_id: int | None = None) -> Page[AuditRow]:
    """Return entries, newest first, of one provider or of all."""
    matches = [] if provider_id is None else [audit_entries.c.provider_id == provider_id]
    query = select(*_shape.columns).where(*matches).order_by(audit_entries.c.id.desc()).limit(limit).offset(offset)
    total = conn.execute(select(func.count()).select_from(audit_entries).where(*matches)).scalar_one()
    return Page(_shape.all(conn.execute(query)), total)
