"""The outbox of webhook events: who sends what next, how it went, and the log that renters read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from dc1.domain.access.webhooks import DeliveryStatus, WebhookEvent
from dc1.storage.engine.followed import Outbox, note_filled
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.row_mapping import Backlog, Page, Shape
from dc1.storage.schema.tables import jobs, renters, webhook_deliveries

# Rows looked at each time: one renter with a great deal to send must not hide the others.
_LOOK_AHEAD = 256


@dataclass(frozen=True, slots=True)
class TakenDelivery:
    """A delivery that is ours to send for a while; `attempts` were made before."""

    id: int
    delivery_id: str
    renter_id: int
    event: WebhookEvent
    url: str
    body: str
    attempts: int
    sealed_webhook_secret: str | None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """How an attempt went. `next_attempt_at_ms` is None after the last one."""

    status: DeliveryStatus
    response_status: int | None
    error: str | None
    at_ms: int
    next_attempt_at_ms: int | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as its renter sees it; `job_id` is public."""

    delivery_id: str
    event: WebhookEvent
    job_id: str | None
    url: str
    status: DeliveryStatus
    attempts: int
    response_status: int | None
    error: str | None
    created_at_ms: int
    last_attempt_at_ms: int | None
    next_attempt_at_ms: int | None
    delivered_at_ms: int | None


_table = webhook_deliveries
_taken_shape = Shape(TakenDelivery, _table, sealed_webhook_secret=renters.c.sealed_webhook_secret)
_row_shape = Shape(DeliveryRow, _table, job_id=jobs.c.job_id)


def next_due_ms(conn: Connection, busy: Collection[int] = ()) -> int | None:
    """Return when the next delivery to a renter who is not `busy` comes due, or did; None while nothing waits."""
    due_ms = _table.c.next_attempt_at_ms
    return conn.scalar(select(due_ms).where(*_waiting(busy)).order_by(due_ms).limit(1))


def backlog(conn: Connection) -> Backlog:
    """Return what waits to be sent, or to be sent again."""
    waiting = _table.c.next_attempt_at_ms.is_not(None)
    return Backlog(*conn.execute(select(func.count(), func.min(_table.c.created_at_ms)).where(waiting)).one())


def take_due(
    conn: Connection, now_ms: int, until_ms: int, *, limit: int, per_renter: int, in_flight: Mapping[int, int]
) -> list[TakenDelivery]:
    """Take at most `limit` due deliveries, the longest waiting first; nobody else takes them before `until_ms`.

    No renter gets more than `per_renter` together with those `in_flight` by renter id, so that one whose host is
    slow does not hold up the others.
    """
    busy = [renter_id for renter_id, count in in_flight.items() if count >= per_renter]
    query = (
        select(_table.c.id, _table.c.renter_id)
        .where(*_waiting(busy), _table.c.next_attempt_at_ms <= now_ms)
        .order_by(_table.c.next_attempt_at_ms, _table.c.id)
        .limit(_LOOK_AHEAD)
        # What another sender is just taking is skipped, not waited for.
        .with_for_update(skip_locked=True)
    )
    chosen: list[int] = []
    counts = dict(in_flight)
    for delivery_id, renter_id in conn.execute(query):
        if len(chosen) < limit and counts.get(renter_id, 0) < per_renter:
            counts[renter_id] = counts.get(renter_id, 0) + 1
            chosen.append(delivery_id)
    if not chosen:
        return []
    # Taken by a later time, which needs no lock that a dead sender would hold: it comes due again.
    conn.execute(update(_table).where(_table.c.id.in_(chosen)).values(next_attempt_at_ms=until_ms))
    taken = select(*_taken_shape.columns).join(renters, renters.c.id == _table.c.renter_id)
    return _taken_shape.all(conn.execute(taken.where(_table.c.id.in_(chosen)).order_by(_table.c.id)))


def release(conn: Connection, ids: Collection[int], now_ms: int) -> None:
    """Give deliveries back, so that another sender takes them at once."""
    waiting = _table.c.status == DeliveryStatus.PENDING
    conn.execute(update(_table).where(_table.c.id.in_(ids), waiting).values(next_attempt_at_ms=now_ms))
    note_filled(conn, Outbox.WEBHOOKS)


def record_attempt(conn: Connection, delivery: TakenDelivery, attempt: DeliveryAttempt) -> None:
    """Note an attempt, unless the delivery was ended or tried by another sender meanwhile."""
    # `attempts` is the fence: a sender that comes back too late finds another number.
    guard = (
        _table.c.id == delivery.id,
        _table.c.attempts == delivery.attempts,
        _table.c.status == DeliveryStatus.PENDING,
    )
    delivered = attempt.status is DeliveryStatus.DELIVERED
    conn.execute(
        update(_table)
        .where(*guard)
        .values(
            status=attempt.status,
            attempts=delivery.attempts + 1,
            response_status=attempt.response_status,
            error=attempt.error,
            last_attempt_at_ms=attempt.at_ms,
            next_attempt_at_ms=attempt.next_attempt_at_ms,
            delivered_at_ms=attempt.at_ms if delivered else None,
        )
    )


def send_again(
    conn: Connection, renter_id: int, delivery_id: str, url: str | None, now_ms: int
) -> DeliveryStatus | None:
    """Have a delivery of a renter's that ended sent once more, to `url`; return how it stood, None where there is none.

    One that is still on its way is left alone, and without an address each is.
    """
    mine = (_table.c.renter_id == renter_id, _table.c.delivery_id == delivery_id)
    found = conn.execute(select(_table.c.id, _table.c.status).where(*mine).with_for_update()).first()
    if found is None:
        return None
    row_id, status = found
    if status is not DeliveryStatus.PENDING and url is not None:
        # From the first attempt on: whoever mends a receiver wants all the retries for it.
        anew = {"status": DeliveryStatus.PENDING, "attempts": 0, "url": url, "next_attempt_at_ms": now_ms}
        conn.execute(update(_table).where(_table.c.id == row_id).values(**anew, delivered_at_ms=None, error=None))
        note_filled(conn, Outbox.WEBHOOKS)
    return DeliveryStatus(status)


def give_up(conn: Connection, renter_id: int, reason: str) -> None:
    """End every delivery to a renter that is still waiting."""
    waiting = (_table.c.renter_id == renter_id, _table.c.status == DeliveryStatus.PENDING)
    ended = {"status": DeliveryStatus.FAILED, "error": reason, "next_attempt_at_ms": None}
    conn.execute(update(_table).where(*waiting).values(ended))


def page(
    conn: Connection,
    renter_id: int,
    *,
    limit: int,
    offset: int = 0,
    event: str | None = None,
    status: str | None = None,
) -> Page[DeliveryRow]:
    """Return a renter's deliveries, newest first."""
    matches = [_table.c.renter_id == renter_id]
    if event is not None:
        matches.append(_table.c.event == event)
    if status is not None:
        matches.append(_table.c.status == status)
    query = select(*_row_shape.columns).outerjoin(jobs, jobs.c.id == _table.c.job_id).where(*matches)
    total = conn.execute(select(func.count()).select_from(_table).where(*matches)).scalar_one()
    rows = conn.execute(query.order_by(_table.c.id.desc()).limit(limit).offset(offset))
    return Page(_row_shape.all(rows), total)


def purge(conn: Connection, before_ms: int, limit: int) -> int:
    """Delete deliveries that ended and are older than `before_ms`, at most `limit`; return how many."""
    old = (_table.c.created_at_ms < before_ms, _table.c.next_attempt_at_ms.is_(None))
    return forget_oldest(conn, _table, _table.c.created_at_ms, *old, limit=limit)


def forget_all_of(conn: Connection, renter_id: int) -> None:
    """Delete every delivery to a renter."""
    conn.execute(delete(_table).where(_table.c.renter_id == renter_id))


def _waiting(busy: Collection[int]) -> tuple[ColumnElement[bool], ...]:
    # Saying that it is not null lets the engines use the partial index.
    waiting = _table.c.next_attempt_at_ms.is_not(None)
    return (waiting, _table.c.renter_id.not_in(sorted(busy))) if busy else (waiting,)
