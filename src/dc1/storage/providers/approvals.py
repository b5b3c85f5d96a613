"""Admins' decisions on providers, and who waits for one."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from dc1.domain.providers.liveness import Approval
from dc1.storage.engine.row_mapping import Page, Shape
from dc1.storage.providers import providers
from dc1.storage.providers.providers import ProviderRow, provider_shape
from dc1.storage.schema.tables import approval_decisions
from dc1.storage.schema.tables import providers as providers_table


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision; `actor` is an operator or the fingerprint of a token."""

    provider_id: int
    at_ms: int
    actor: str
    decision: Approval
    reason: str | None = None


_shape = Shape(Decision, approval_decisions)
_WAITING = (providers_table.c.approval_status == Approval.PENDING, providers_table.c.deleted_at_ms.is_(None))


def approve(conn: Connection, provider_id: int, actor: str, now_ms: int, *, only_pending: bool = False) -> bool:
    """Let a provider in, from any state or only from pending; False when there is none in such a state."""
    decided = providers.set_approved(conn, provider_id, now_ms, only_pending=only_pending)
    return decided and _record(conn, Decision(provider_id, now_ms, actor, Approval.APPROVED))


def reject(
    conn: Connection, provider_id: int, actor: str, reason: str, now_ms: int, *, only_pending: bool = False
) -> bool:
    """Turn a provider away, from any state or only from pending; False when there is none in such a state."""
    decided = providers.set_rejected(conn, provider_id, reason, only_pending=only_pending)
    return decided and _record(conn, Decision(provider_id, now_ms, actor, Approval.REJECTED, reason))


def _record(conn: Connection, decision: Decision) -> bool:
    conn.execute(insert(approval_decisions), _shape.values(decision))
    return True


def decisions(conn: Connection, provider_id: int) -> list[Decision]:
    """Return every decision on a provider, newest first."""
    query = select(*_shape.columns).where(approval_decisions.c.provider_id == provider_id)
    return _shape.all(conn.execute(query.order_by(approval_decisions.c.id.desc())))


def waiting(conn: Connection, *, limit: int) -> Page[ProviderRow]:
    """Return the providers that wait for a decision, longest first."""
    # Ids grow with time, and the index on the status ends with them.
    query = select(*provider_shape.columns).where(*_WAITING).order_by(providers_table.c.id).limit(limit)
    total = conn.execute(select(func.count()).select_from(providers_table).where(*_WAITING)).scalar_one()
    return Page(provider_shape.all(conn.execute(query)), total)
