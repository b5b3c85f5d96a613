"""A provider has one challenge to solve at most, which is kept here."""

from sqlalchemy import Connection, delete, func, select, update

from dc1.domain.providers.challenges import Challenge
from dc1.storage.engine.row_mapping import Shape
from dc1.storage.engine.statements import upsert
from dc1.storage.schema.tables import challenges

_shape = Shape(Challenge, challenges)


def give(conn: Connection, provider_id: int, challenge: Challenge, now_ms: int) -> None:
    """Give a provider a challenge, unless it has one to solve."""
    conn.execute(
        delete(challenges).where(challenges.c.provider_id == provider_id, challenges.c.expires_at_ms <= now_ms)
    )
    # Only into a free place: a machine cannot shed a challenge by being given another.
    statement = upsert(conn, challenges, ("provider_id",), new=tuple(_shape.names))
    statement.run(conn, {"provider_id": provider_id, **_shape.values(challenge)})


def fetch(conn: Connection, provider_id: int, now_ms: int) -> Challenge | None:
    """Return what a provider has to solve; its time starts when it first asks."""
    statement = (
        update(challenges)
        .where(challenges.c.provider_id == provider_id, challenges.c.expires_at_ms > now_ms)
        # The first look counts, or who asks again would win time.
        .values(fetched_at_ms=func.coalesce(challenges.c.fetched_at_ms, now_ms))
        .returning(*_shape.columns)
    )
    return _shape.first(conn.execute(statement))


def pending(conn: Connection, provider_id: int, now_ms: int) -> bool:
    """Tell whether a provider has something to solve."""
    found = select(challenges.c.provider_id).where(
        challenges.c.provider_id == provider_id, challenges.c.expires_at_ms > now_ms
    )
    return conn.execute(found).first() is not None


def take(conn: Connection, provider_id: int, challenge_id: str) -> Challenge | None:
    """End a challenge that the provider has seen, expired or not, and return it; None when it has no such one."""
    statement = (
        delete(challenges)
        .where(
            challenges.c.provider_id == provider_id,
            challenges.c.challenge_id == challenge_id,
            challenges.c.fetched_at_ms.is_not(None),
        )
        .returning(*_shape.columns)
    )
    return _shape.first(conn.execute(statement))
