"""Running counters, changed in the transaction of their cause, so that no view ever counts rows.

Each counter is split in shards; a reader sums them.
"""

from dataclasses import dataclass, fields

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, select

from dc1.domain.base.clock import day_start_ms
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.money.ledger import SHARDS
from dc1.storage.schema.tables import totals

# The row of 1 January 1970, on which nothing happened, holds the sums of all time.
ALL_TIME = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The counters of all time or of one UTC day; amounts in halala.

    A day counts only what happened on it: `jobs_completed`, the `completed_*` and the `charged_*` counters.
    `charged` covers every settled charge, cancelled and timed-out jobs included.
    """

    renters: int = 0
    renters_active: int = 0
    wallets_halala: int = 0
    jobs_queued: int = 0
    jobs_pending: int = 0
    jobs_running: int = 0
    jobs_completed: int = 0
    jobs_failed: int = 0
    jobs_cancelled: int = 0
    completed_revenue_halala: int = 0
    completed_fees_halala: int = 0
    charged_jobs: int = 0
    charged_halala: int = 0
    charged_platform_halala: int = 0
    charged_provider_halala: int = 0

    @property
    def jobs(self) -> int:
        """Every job there is."""
        return self.jobs_active + self.jobs_completed + self.jobs_failed + self.jobs_cancelled

    @property
    def jobs_active(self) -> int:
        """Jobs that are not terminal."""
        return self.jobs_queued + self.jobs_pending + self.jobs_running


_COLUMNS = [totals.c[field.name] for field in fields(Totals)]
# PostgreSQL sums BIGINT to NUMERIC, which the driver hands over as Decimal.
_SUMS = [cast(func.coalesce(func.sum(column), 0), BigInteger) for column in _COLUMNS]
_READ = PreparedStatement(select(*_SUMS).where(totals.c.day_ms == bindparam("day")))
_BY_DAY = (
    select(totals.c.day_ms, *_SUMS)
    .where(totals.c.day_ms >= bindparam("since"), totals.c.day_ms != ALL_TIME)
    .group_by(totals.c.day_ms)
    .order_by(totals.c.day_ms)
)


def read(conn: Connection) -> Totals:
    """Return the counters of all time."""
    return Totals(*_READ.rows(conn, {"day": ALL_TIME})[0])


def read_day(conn: Connection, now_ms: int) -> Totals:
    """Return the counters of the UTC day that `now_ms` is in."""
    return Totals(*_READ.rows(conn, {"day": day_start_ms(now_ms)})[0])


def read_days(conn: Connection, since_ms: int) -> list[tuple[int, Totals]]:
    """Return the first millisecond and the counters of every UTC day from `since_ms` on that has any, oldest first."""
    return [(row[0], Totals(*row[1:])) for row in conn.execute(_BY_DAY, {"since": day_start_ms(since_ms)})]


def change(conn: Connection, key: int, now_ms: int | None = None, /, **deltas: int) -> None:
    """Change counters of all time or, with `now_ms`, of that UTC day; `key` picks the shard."""
    day = ALL_TIME if now_ms is None else day_start_ms(now_ms)
    # In shards like the system accounts, or every settlement would wait for one row. An embedded engine has one writer,
    # whose units have one row to write together.
    shard = 0 if conn.dialect.name == "sqlite" else key % SHARDS
    statement = upsert(conn, totals, ("shard", "day_ms"), add=tuple(deltas))
    statement.send(conn, {"shard": shard, "day_ms": day, **deltas})
