"""How large the market was in each minute, for plots that reach back a month."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, Float, Integer, cast, func, select, text

from dc1.domain.base.clock import DAY_MS
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import market_minutes

_COUNTS = ("machines", "online", "queued", "running")
_PRICE = "median_price_halala"
_SUMS = ("jobs_completed", "jobs_failed", "charged_halala")


@dataclass(frozen=True, slots=True)
class MarketSpan:
    """The market in one span of time.

    Means of the machines that there were, of those online and of the jobs that waited and ran; what completed, failed
    and was charged since the span before.
    """

    at_ms: int
    machines: int
    online: int
    queued: int
    running: int
    jobs_completed: int
    jobs_failed: int
    charged_halala: int


def note(conn: Connection, market: MarketSpan, median_price_halala: float | None) -> None:
    """Keep how the market is at the beginning of a minute, with what was ever done by then, unless that is kept.

    The price is of an hour, None where no machine can be given work.
    """
    price = None if median_price_halala is None else round(median_price_halala)
    values = {name: getattr(market, name) for name in _COUNTS + _SUMS} | {_PRICE: price}
    columns = (*_COUNTS, *_SUMS, _PRICE)
    upsert(conn, market_minutes, ("minute_ms",), new=columns).send(conn, values | {"minute_ms": market.at_ms})


def daily_prices(conn: Connection, since_ms: int) -> dict[int, float]:
    """Return the mean of the minutes' median prices of an hour, in halala, on each day that has one, by its start."""
    minute, price = market_minutes.c.minute_ms, market_minutes.c[_PRICE]
    day = (minute - minute % DAY_MS).label("day_ms")
    query = select(day, cast(func.avg(price), Float).label("price")).where(minute >= since_ms, price.is_not(None))
    return {row.day_ms: row.price for row in conn.execute(query.group_by(text("day_ms")))}


def spans(conn: Connection, since_ms: int, span_ms: int) -> list[MarketSpan]:
    """Return the market in the spans that begin at `since_ms` or later, oldest first; of one without a minute none."""
    minute = market_minutes.c.minute_ms
    # Integers, for the engines have no common function that cuts a time into spans.
    span = (minute - minute % span_ms).label("span_ms")
    means = [cast(func.round(func.avg(market_minutes.c[name])), Integer) for name in _COUNTS]
    # Sums only grow, so the greatest of a span is its last.
    sums = [cast(func.max(market_minutes.c[name]), BigInteger) for name in _SUMS]
    query = (
        # One span more tells what had been done before the first.
        select(span, *means, *sums)
        .where(minute >= since_ms - span_ms)
        .group_by(text("span_ms"))
        .order_by(text("span_ms"))
    )
    return [each for each in _differences([MarketSpan(*row) for row in conn.execute(query)]) if each.at_ms >= since_ms]


def _differences(totals: list[MarketSpan]) -> Iterator[MarketSpan]:
    before = totals[:1]
    for each in totals:
        done = {name: getattr(each, name) - getattr(before[0], name) for name in _SUMS}
        yield MarketSpan(each.at_ms, each.machines, each.online, each.queued, each.running, **done)
        before = [each]


def purge(conn: Connection, before_ms: int, limit: int) -> int:
    """Forget the minutes before a time, `limit` of them at most; return how many."""
    minute = market_minutes.c.minute_ms
    return forget_oldest(conn, market_minutes, minute, minute < before_ms, limit=limit)
