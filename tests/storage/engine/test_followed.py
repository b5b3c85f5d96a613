"""Other servers are told to look when what they follow was changed, and of nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from dc1.domain.access.keys import KeyRole
from dc1.domain.access.notifications import ChannelKind
from dc1.domain.access.roles import Role
from dc1.domain.access.webhooks import DeliveryStatus
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import keys, notifications, renters, webhooks
from dc1.storage.accounts.notifications import NewChannel
from dc1.storage.accounts.webhooks import DeliveryAttempt
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.followed import Outbox
from dc1.storage.jobs import lifecycle
from dc1.storage.providers import providers
from dc1.storage.schema.tables import providers as providers_table
from tests.storage.market import NOW, Market


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


@contextmanager
def told(db: Database) -> Iterator[Callable[[], int]]:
    """Give what tells how often the others were told to look since the last time it was asked."""
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1

    def taken() -> int:
        nonlocal looks
        found, looks = looks, 0
        return found

    db.on_commit = look
    yield taken


async def test_a_job_s_whole_life_has_nobody_look(market: Market, db: Database) -> None:
    renter, provider = await market.renter(), await market.provider()
    with told(db) as looks:
        job = await market.submit(renter, provider_id=provider, slots=64)
        assert await market.do(lifecycle.start, job.id, provider, 0, 64, NOW)
        report = AttemptReport(completed=True, actor=Actor.PROVIDER, result={"type": "text", "response": "ok"})
        assert await market.do(lifecycle.finish, job.id, report, NOW + 60_000, attempt=1, provider_id=provider)
        assert looks() == 0


async def test_a_change_is_told_however_it_is_written(market: Market, db: Database) -> None:
    with told(db) as looks:
        renter, provider = await market.renter(), await market.provider()
        assert looks() > 0
        await market.do(renters.set_status, renter, "suspended")
        assert looks() == 1
        await market.do(providers.set_paused, provider, True)
        assert looks() == 1
        await market.see(lambda conn: conn.execute(select(providers_table.c.id)).all())
        assert looks() == 0


async def test_a_unit_that_was_undone_tells_nothing(market: Market, db: Database) -> None:
    provider = await market.provider()

    def fail(conn: Connection) -> None:
        conn.execute(update(providers_table).where(providers_table.c.id == provider).values(name="other"))
        raise LookupError("changed its mind")

    with told(db) as looks:
        with pytest.raises(LookupError):
            await db.write(fail)
        # Nor does the next one, on the same connection.
        await db.write(lambda conn: None)
        assert looks() == 0


async def test_who_sends_is_told_of_what_was_put_into_its_outbox_once_it_is_stored(
    market: Market, db: Database
) -> None:
    renter, told_of = await market.renter(), list[Outbox]()
    await market.do(renters.set_webhook, renter, "https://hooks.example.com/", "sealed")
    db.on_filled = told_of.append
    job = await market.submit(renter)
    assert told_of == []

    def fail(conn: Connection) -> None:
        lifecycle.cancel(conn, job.id, Actor.RENTER, NOW)
        raise LookupError("changed its mind")

    with pytest.raises(LookupError):
        await db.write(fail)
    await db.write(lambda conn: None)
    assert told_of == []
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
    assert told_of == [Outbox.WEBHOOKS]
    new = NewChannel(ChannelKind.WEBHOOK, "sealed", "", [], "en")
    channel = (await market.do(notifications.add, Role.RENTER, renter, new, NOW)).id
    assert await market.do(notifications.tell_channel, Role.RENTER, renter, channel, NOW)
    assert told_of == [Outbox.WEBHOOKS, Outbox.NOTIFICATIONS]
    # What is taken and recorded is nothing new to send.
    taking = {"limit": 1, "per_renter": 1, "in_flight": {}}
    (taken,) = await market.do(webhooks.take_due, NOW, NOW + 30_000, **taking)
    failed = DeliveryAttempt(DeliveryStatus.FAILED, 500, "The answer was HTTP 500", NOW, None)
    await market.do(webhooks.record_attempt, taken, failed)
    assert len(told_of) == 2
    await market.do(webhooks.send_again, renter, taken.delivery_id, "https://hooks.example.com/", NOW)
    assert told_of[2:] == [Outbox.WEBHOOKS]


async def test_the_use_of_a_key_is_nobody_else_s_and_its_end_is(market: Market, db: Database) -> None:
    renter = await market.renter()
    key_id = await market.scoped_key(renter, 100)
    with told(db) as looks:
        await market.do(keys.touch_many, {key_id: NOW})
        assert looks() == 0
        await market.do(keys.revoke, KeyRole.SCOPED, renter, key_id, NOW)
        assert looks() == 1
