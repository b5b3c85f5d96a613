"""Renter accounts as admins look through them."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from dc1.domain.access.roles import AccountStatus
from dc1.domain.jobs.states import TEST_RENTER_ID
from dc1.storage.accounts.renters import ACCOUNTS, RenterRow, renter_shape
from dc1.storage.engine.row_mapping import Page, escaped_like
from dc1.storage.money import counters
from dc1.storage.schema.tables import renters


@dataclass(frozen=True, slots=True)
class RenterCounts:
    """How many accounts there are, deleted ones included, and how many of two statuses."""

    total: int
    active: int
    suspended: int


def counts(conn: Connection) -> RenterCounts:
    """Return the counts of now."""
    kept = counters.read(conn)
    # Few, and found by the index on status; what there are many of is counted as it happens.
    suspended = select(func.count()).where(renters.c.status == AccountStatus.SUSPENDED)
    return RenterCounts(kept.renters, kept.renters_active, conn.execute(suspended).scalar_one())


def page(
    conn: Connection, *, limit: int, offset: int = 0, search: str = "", status: str | None = None
) -> Page[RenterRow]:
    """Return accounts, newest first; `search` looks in names, organisations and addresses, whatever the case."""
    matches: list[ColumnElement[bool]] = [renters.c.id != TEST_RENTER_ID]
    if status is not None:
        matches.append(renters.c.status == status)
    if search:
        searched = (renters.c.name, renters.c.organization, renters.c.email)
        pattern = escaped_like(search)
        found = [column.ilike(pattern, escape="\\") for column in searched]
        matches.append(found[0] | found[1] | found[2])
    total = conn.execute(select(func.count()).select_from(renters).where(*matches)).scalar_one()
    query = ACCOUNTS.where(*matches).order_by(renters.c.id.desc()).limit(limit).offset(offset)
    return Page(renter_shape.all(conn.execute(query)), total)
