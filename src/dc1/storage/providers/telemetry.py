"""Telemetry rollups: a row for each provider and minute, kept for a while."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text

from dc1.domain.providers.telemetry import METRICS, Period, Rollup
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.partitions import PROVIDER_MINUTES
from dc1.storage.schema.tables import provider_minutes

Minutes = Mapping[int, Mapping[int, Rollup]]
"""Rollups by provider id, by the first millisecond of their minute."""

_SUMS = tuple(f"{metric}_sum" for metric in METRICS)
_COUNTS = tuple(f"{metric}_count" for metric in METRICS)


def store(conn: Connection, minutes: Minutes) -> None:
    """Add rollups to what is stored: one statement, however many there are."""
    # One order everywhere, so that two replicas that flush at once cannot deadlock.
    rows = [
        {"provider_id": provider_id, "minute_ms": minute_ms}
        | dict(zip(_SUMS, rollup.sums, strict=True))
        | dict(zip(_COUNTS, rollup.counts, strict=True))
        for minute_ms, rollups in sorted(minutes.items())
        for provider_id, rollup in sorted(rollups.items())
    ]
    if rows:
        upsert(conn, provider_minutes, ("provider_id", "minute_ms"), add=_SUMS + _COUNTS).run_many(conn, rows)


def tend(conn: Connection, now_ms: int, before_ms: int) -> None:
    """Make room for the next days, and forget at once the days that were over before a time, where those are parts."""
    PROVIDER_MINUTES.tend(conn, now_ms, before_ms)


def purge(conn: Connection, before_ms: int, limit: int) -> int:
    """Forget the minutes before a time that are in no part of their day, `limit` of them at most; return how many."""
    forgotten = 0
    for table in PROVIDER_MINUTES.kept_by_rows(conn):
        minute = table.c.minute_ms
        forgotten += forget_oldest(conn, table, minute, minute < before_ms, limit=limit - forgotten)
    return forgotten


def read(conn: Connection, provider_id: int, period: Period, now_ms: int) -> dict[int, Rollup]:
    """Return a provider's rollups over the spans of a period that ends now, by the first millisecond of the span."""
    minute = provider_minutes.c.minute_ms
    # Integers, for the engines have no common function that cuts a time into spans.
    span = (minute - minute % period.span_ms).label("span_ms")
    query = (
        select(span, *[func.sum(provider_minutes.c[name]) for name in _SUMS + _COUNTS])
        .where(provider_minutes.c.provider_id == provider_id, minute >= period.first_ms(now_ms))
        .group_by(text("span_ms"))
    )
    return _by_start(conn.execute(query))


def _by_start(rows: Iterable[Sequence[Any]]) -> dict[int, Rollup]:
    width = len(METRICS)
    return {row[0]: Rollup(list(row[1 : 1 + width]), [int(count) for count in row[1 + width :]]) for row in rows}


def latest(conn: Connection, provider_id: int, limit: int) -> dict[int, Rollup]:
    """Return a provider's newest minutes, by their first millisecond."""
    columns = [provider_minutes.c[name] for name in _SUMS + _COUNTS]
    query = (
        select(provider_minutes.c.minute_ms, *columns)
        .where(provider_minutes.c.provider_id == provider_id)
        .order_by(provider_minutes.c.minute_ms.desc())
        .limit(limit)
    )
    return _by_start(conn.execute(query))
