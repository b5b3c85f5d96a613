"""How the clocks of servers go: from one start of a server to the next, and by the database they share."""

from sqlalchemy import BigInteger, Connection, cast, func, select

from dc1.domain.base.clock import DAY_MS
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import clocks

DATABASE_NOW_MS = cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
"""PostgreSQL's clock is the only one that all replicas share."""

# A machine that runs notes itself again within the hour.
_FORGOTTEN_AFTER_MS = 30 * DAY_MS
_AT_ONCE = 1_000


def booted_ms(conn: Connection, boot: str) -> int | None:
    """Return when a machine booted by the clock of its servers, or None when none ran since it did."""
    found: int | None = conn.execute(select(clocks.c.booted_ms).where(clocks.c.boot == boot)).scalar()
    return found


def note(conn: Connection, boot: str, booted_ms: int, now_ms: int) -> None:
    """Keep how a machine's clock goes, and forget those of machines that are gone."""
    row = {"boot": boot, "booted_ms": booted_ms, "noted_ms": now_ms}
    upsert(conn, clocks, ("boot",), replace=("booted_ms", "noted_ms")).run(conn, row)
    gone = (clocks.c.boot != boot, clocks.c.noted_ms < now_ms - _FORGOTTEN_AFTER_MS)
    forget_oldest(conn, clocks, clocks.c.noted_ms, *gone, limit=_AT_ONCE)


def database_now_ms(conn: Connection) -> int:
    """Return the time by PostgreSQL's clock."""
    now_ms: int = conn.execute(select(DATABASE_NOW_MS)).scalar_one()
    return now_ms
