"""Machines whose GPU cannot be what is reported, from the finding to an admin's decision."""

from dataclasses import dataclass

from sqlalchemy import Connection, update

from dc1.storage.admin import audit
from dc1.storage.admin.audit import NewAuditEntry
from dc1.storage.engine.row_mapping import changed
from dc1.storage.schema.tables import providers

# In place of an operator and of the call's method: nobody asked.
_FINDER = "market"
_OK = 200


@dataclass(frozen=True, slots=True)
class HardwareDoubt:
    """What a machine's GPU cannot be, in words."""

    provider_id: int
    at_ms: int
    words: str


def record(conn: Connection, doubt: HardwareDoubt) -> None:
    """Note a finding with the provider and in the audit trail."""
    # Two servers may have heard the same daemon; the older finding is the one that an admin decides on.
    found = update(providers).where(providers.c.id == doubt.provider_id, providers.c.mismatch.is_(None))
    if changed(conn.execute(found.values(mismatch=doubt.words, mismatch_at_ms=doubt.at_ms))):
        tell(conn, doubt)


def tell(conn: Connection, doubt: HardwareDoubt) -> None:
    """Note in the audit trail what was found of a machine, which needs no decision."""
    finding = f"/providers/{doubt.provider_id}: {doubt.words}"
    audit.record(conn, NewAuditEntry(doubt.at_ms, _FINDER, _FINDER, finding, _OK, doubt.provider_id))


def accept(conn: Connection, provider_id: int, hardware: str | None) -> bool:
    """Take a machine to be what is reported; False when there is no such provider."""
    statement = update(providers).where(providers.c.id == provider_id, providers.c.deleted_at_ms.is_(None))
    return changed(conn.execute(statement.values(mismatch=None, mismatch_at_ms=None, accepted_hardware=hardware)))
