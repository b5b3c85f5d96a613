"""Tables that PostgreSQL keeps in parts, each of a span of time, so that what is old goes with its part.

To forget a day of a large fleet row by row writes as much as the day itself did, and leaves the table as large as it
was; a part is dropped at once. SQLite has no parts, and forgets by rows.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.exc import OperationalError

from dc1.storage.schema.tables import provider_minutes

log = logging.getLogger(__name__)

_DAY_MS = 86_400_000
_AHEAD = 3
"""Parts that are made before they are needed: so many days no server has to look after them."""

# One server at a time, whichever comes first.
_TURN = text("SELECT pg_try_advisory_xact_lock(:number)")
# Rows may be forgotten by many at once.
_TURN_OF_ROWS = text("SELECT pg_advisory_xact_lock_shared(:number)")
_TURN_NUMBER = 0x0DC2
# To take a part away nobody may be reading the table, for a moment. Who reads for long, as a backup does, is not to
# have all who write wait behind us: it is tried again.
_PATIENCE = text("SET LOCAL lock_timeout = '200ms'")
_LOCK_NOT_HAD = "55P03"
_PARTS = text(
    "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits"
    " JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = to_regclass(:name)"
)
_BOUND = re.compile(r"FROM \((MINVALUE|'\d+')\) TO \('(\d+)'\)")


@dataclass(frozen=True, slots=True)
class Parts:
    """A table and the column of epoch milliseconds by whose UTC days it is kept in parts."""

    table: Table
    column: str

    @property
    def before(self) -> str:
        """The part of what was there before the table had any."""
        return f"{self.table.name}_before"

    @property
    def other(self) -> str:
        """The part of what no other one takes, for days that nobody made one for."""
        return f"{self.table.name}_other"

    def kept_by_rows(self, conn: Connection) -> list[Table]:
        """Return where rows have to be forgotten one by one: the two parts that are of no day, or the whole table."""
        if conn.dialect.name != "postgresql":
            return [self.table]
        # Taken away by another server meanwhile, they could not be read any more.
        conn.execute(_TURN_OF_ROWS, {"number": _TURN_NUMBER})
        there = {name for name, _ in conn.execute(_PARTS, {"name": self.table.name})}
        return [self.table.to_metadata(MetaData(), name=name) for name in (self.before, self.other) if name in there]

    def tend(self, conn: Connection, now_ms: int, forget_before_ms: int) -> None:
        """Make the parts of today and the next days, and drop those that are over before a time.

        What another server tends now, or somebody else holds, is left for the next time.
        """
        if conn.dialect.name != "postgresql" or not conn.execute(_TURN, {"number": _TURN_NUMBER}).scalar_one():
            return
        ends = dict(_ends(conn, self.table.name))
        today_ms = now_ms - now_ms % _DAY_MS
        last_ms = max(ends.values(), default=0)
        for day_ms in range(max(today_ms, last_ms), today_ms + (_AHEAD + 1) * _DAY_MS, _DAY_MS):
            with _if_nobody_holds_it(conn, self.table.name):
                self._make(conn, day_ms)
        for name, end_ms in ends.items():
            if end_ms <= forget_before_ms:
                with _if_nobody_holds_it(conn, self.table.name):
                    conn.execute(text(f'DROP TABLE "{name}"'))

    def _make(self, conn: Connection, day_ms: int) -> None:
        name, end_ms = f"{self.table.name}_{datetime.fromtimestamp(day_ms / 1000, UTC):%Y%m%d}", day_ms + _DAY_MS
        among = f"{self.column} >= {day_ms} AND {self.column} < {end_ms}"
        # Made apart and then taken in, for which nobody who reads or writes has to wait.
        conn.execute(text(f'CREATE TABLE "{name}" (LIKE {self.table.name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'))
        # No other part may have rows of it then.
        moved = f"WITH moved AS (DELETE FROM {self.other} WHERE {among} RETURNING *)"  # noqa: S608 - numbers of ours
        conn.execute(text(f'{moved} INSERT INTO "{name}" SELECT * FROM moved'))  # noqa: S608 - a name of ours
        bounds = f"FOR VALUES FROM ({day_ms}) TO ({end_ms})"
        conn.execute(text(f'ALTER TABLE {self.table.name} ATTACH PARTITION "{name}" {bounds}'))


PROVIDER_MINUTES = Parts(provider_minutes, "minute_ms")
"""Telemetry: a row a minute of each provider, kept a week, and read by provider and time."""


def _ends(conn: Connection, table: str) -> Iterator[tuple[str, int]]:
    for name, bound in conn.execute(_PARTS, {"name": table}):
        # Not the part of all others, which has none.
        if found := _BOUND.search(bound):
            yield name, int(found.group(2))


@contextmanager
def _if_nobody_holds_it(conn: Connection, table: str) -> Iterator[None]:
    try:
        with conn.begin_nested():
            conn.execute(_PATIENCE)
            yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_HAD:
            raise
        log.info("the parts of %s are left as they are until nobody reads them", table)
