"""Servers that share a database: who lives, and whose stream is where. Only PostgreSQL has more than one."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from dc1.domain.providers.liveness import Channel
from dc1.storage.cluster.clocks import DATABASE_NOW_MS, database_now_ms
from dc1.storage.engine.purging import forget_oldest
from dc1.storage.engine.statements import PreparedStatement, upsert
from dc1.storage.schema.tables import providers, replicas

# Long after anybody could still wait for one of its streams.
_FORGOTTEN_AFTER_MS = 24 * 3600 * 1000
# At each start of a server, which leaves one row behind at most.
_AT_ONCE = 1_000


_ALL = PreparedStatement(select(replicas.c.replica_id, replicas.c.expires_at_ms))
_NOW = PreparedStatement(select(DATABASE_NOW_MS.label("now_ms")))


@dataclass(frozen=True, slots=True)
class ReplicaExpiries:
    """Every replica by id with its expiry, and the time, both by the database's clock."""

    now_ms: int
    expires_at_ms: dict[str, int]

    def alive(self) -> frozenset[str]:
        """Return the replicas whose word still counts."""
        return frozenset(name for name, expiry in self.expires_at_ms.items() if expiry > self.now_ms)


def renew(conn: Connection, replica_id: str, ttl_ms: int) -> ReplicaExpiries:
    """Say that a replica lives for another `ttl_ms`, and return them all."""
    expiry = database_now_ms(conn) + ttl_ms
    renewal = upsert(conn, replicas, ("replica_id",), replace=("expires_at_ms",))
    renewal.run(conn, {"replica_id": replica_id, "expires_at_ms": expiry})
    return read(conn)


def read(conn: Connection) -> ReplicaExpiries:
    """Return every replica."""
    return ask(conn)()


def ask(conn: Connection) -> Callable[[], ReplicaExpiries]:
    """Ask for every replica, and return what tells them: with what else is asked it is one round trip."""
    rows, now = _ALL.ask(conn, {}), _NOW.ask(conn, {})
    return lambda: ReplicaExpiries(now_ms=now()[0][0], expires_at_ms=dict(rows()))


def remove(conn: Connection, replica_id: str) -> None:
    """Remove a replica that stops."""
    conn.execute(delete(replicas).where(replicas.c.replica_id == replica_id))


def purge(conn: Connection) -> None:
    """Remove the replicas that died long ago."""
    expiry_ms = replicas.c.expires_at_ms
    forget_oldest(conn, replicas, expiry_ms, expiry_ms < DATABASE_NOW_MS - _FORGOTTEN_AFTER_MS, limit=_AT_ONCE)


@dataclass(frozen=True, slots=True)
class StreamChange:
    """A stream that opened on this replica (`lost_ms` None) or ended there; `opened_ms` tells streams apart."""

    provider_id: int
    opened_ms: int
    lost_ms: int | None
    instance: str | None = None


# Which stream it was is told by when it opened: one that ended here may be open elsewhere by now.
_ours = (providers.c.stream_replica == bindparam("replica")) & (providers.c.stream_opened_ms == bindparam("opened"))
_OPENED = (
    update(providers)
    .where(
        providers.c.id == bindparam("provider"),
        # A daemon may have connected elsewhere before this is written; the newer stream wins.
        func.coalesce(providers.c.stream_opened_ms, 0) <= bindparam("opened"),
    )
    .values(
        channel=Channel.STREAM.value,
        stream_replica=bindparam("replica"),
        stream_opened_ms=bindparam("opened"),
        stream_instance=bindparam("instance"),
        stream_lost_ms=None,
    )
)
_CLOSED = (
    update(providers)
    .where(providers.c.id == bindparam("provider"), _ours)
    .values(stream_replica=None, stream_lost_ms=bindparam("lost"))
)


def store_streams(conn: Connection, replica_id: str, changes: Sequence[StreamChange]) -> None:
    """Store where streams are; a newer stream on another replica is left alone. Two statements at most."""
    # One order everywhere, so that two replicas that store at once cannot deadlock.
    ordered = sorted(changes, key=lambda change: change.provider_id)
    opened = [
        {"provider": item.provider_id, "opened": item.opened_ms, "replica": replica_id, "instance": item.instance}
        for item in ordered
        if item.lost_ms is None
    ]
    closed = [
        {"provider": item.provider_id, "opened": item.opened_ms, "replica": replica_id, "lost": item.lost_ms}
        for item in ordered
        if item.lost_ms is not None
    ]
    if opened:
        conn.execute(_OPENED, opened)
    if closed:
        conn.execute(_CLOSED, closed)


def gone(conn: Connection, provider_ids: Collection[int], grace_ms: int, silence_ms: int, now_ms: int) -> set[int]:
    """Return those of the providers that no living replica has heard of lately: the last word before a job is taken.

    A stream is gone `grace_ms` after it ended or its replica died, a polling daemon after `silence_ms`. `now_ms`
    is by the caller's clock.
    """
    # Expiries are by the database's clock.
    expired_ms = replicas.c.expires_at_ms - DATABASE_NOW_MS + now_ms
    last_sign_ms = case(
        (
            providers.c.channel != Channel.STREAM.value,
            func.coalesce(providers.c.last_heartbeat_ms, 0) + silence_ms - grace_ms,
        ),
        (providers.c.stream_replica.is_(None), func.coalesce(providers.c.stream_lost_ms, 0)),
        # Without a row the replica stopped or died long ago.
        else_=func.coalesce(expired_ms, 0),
    )
    query = (
        select(providers.c.id)
        .outerjoin(replicas, replicas.c.replica_id == providers.c.stream_replica)
        .where(providers.c.id.in_(provider_ids), last_sign_ms + grace_ms < now_ms)
    )
    return {row.id for row in conn.execute(query)}
