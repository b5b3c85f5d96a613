"""What is to be told, on both engines: with its cause, of each channel one thing at a time, and no more than somebody
would read."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from sqlalchemy import TextClause, text

from dc1.domain.access.notifications import CODE_TRIES, MOST_CHANNELS, ChannelKind, NotificationEvent
from dc1.domain.access.roles import Role
from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import MOST_WAITING, CodeCheck, NewChannel
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import lifecycle
from tests.storage.market import NOW, Market

LATER = NOW + 30_000
NEW = NewChannel(ChannelKind.SLACK, "sealed", "hooks.slack.com", [NotificationEvent.JOB_CANCELLED], "en")
_IS_WAITED_FOR = text(
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid::text = pg_current_xact_id()::text"
)

_IS_NAME_WAITED_FOR = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE NOT granted AND locktype = 'advisory' AND datname = current_database()"
)
Work: TypeAlias = tuple[Callable[..., object], *tuple[Any, ...]]


async def while_held(market: Market, first: Work, second: Work, is_waited_for: TextClause = _IS_WAITED_FOR) -> None:
    """Do the second while the first has not committed, which it does as soon as it is waited for."""
    begun = threading.Event()

    def until_waited_for(conn: Connection) -> None:
        work, *args = first
        work(conn, *args)
        begun.set()
        give_up_at = time.monotonic() + 10
        while not conn.execute(is_waited_for).scalar_one():
            assert time.monotonic() < give_up_at
            time.sleep(0.01)

    holding = asyncio.create_task(market.do(until_waited_for))
    await asyncio.to_thread(begun.wait)
    try:
        await market.do(*second)
    finally:
        await holding


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def channel_of(market: Market, renter: int) -> int:
    return (await market.do(notifications.add, Role.RENTER, renter, NEW, NOW)).id


def tell(conn: Connection, renter: int) -> None:
    facts = {"job_id": "job-1"}
    notifications.tell(conn, Role.RENTER, renter, NotificationEvent.JOB_CANCELLED, facts, NOW)


async def test_of_each_channel_one_thing_is_taken_the_oldest_first(market: Market) -> None:
    loud, quiet = await market.renter(), await market.renter()
    many, few = await channel_of(market, loud), await channel_of(market, quiet)
    for renter in (loud, loud, loud, quiet):
        await market.do(tell, renter)
    first = await market.do(notifications.take_due, NOW, LATER, 16)
    assert [each.channel_id for each in first] == [many, few]
    assert await market.do(notifications.take_due, NOW, LATER, 16, [many, few]) == []
    assert await market.see(notifications.next_due_ms, [many]) == LATER
    (second,) = await market.do(notifications.take_due, NOW, LATER, 16)
    assert second.id > first[0].id


async def test_of_a_channel_that_is_down_no_more_is_kept_than_somebody_would_read(market: Market) -> None:
    renter = await market.renter()
    await channel_of(market, renter)

    def tell_often(conn: Connection) -> None:
        for _ in range(MOST_WAITING + 3):
            tell(conn, renter)

    await market.do(tell_often)
    assert await market.see(lambda conn: conn.execute(text("SELECT count(*) FROM notifications")).scalar()) == (
        MOST_WAITING
    )


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("removed_first", [True, False])
async def test_a_channel_that_is_removed_meanwhile_undoes_no_end_of_a_job(market: Market, removed_first: bool) -> None:
    renter = await market.renter()
    channel = await channel_of(market, renter)
    job = await market.submit(renter)
    removal = (notifications.remove, Role.RENTER, renter, channel)
    end = (lifecycle.cancel, job.id, Actor.RENTER, NOW)
    first, second = (removal, end) if removed_first else (end, removal)
    await while_held(market, first, second)
    assert await market.do(notifications.take_due, NOW, LATER, 16) == []
    assert await market.see(notifications.channels, Role.RENTER, renter) == []


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_the_last_channel_is_given_to_one_of_two(market: Market) -> None:
    renter = await market.renter()
    for _ in range(MOST_CHANNELS - 1):
        await channel_of(market, renter)
    add = (notifications.add, Role.RENTER, renter, NEW, NOW)
    with pytest.raises(ApiError, match="at most"):
        await while_held(market, add, add, _IS_NAME_WAITED_FOR)
    assert len(await market.see(notifications.channels, Role.RENTER, renter)) == MOST_CHANNELS


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_guesses_that_come_at_once_are_counted_each(market: Market) -> None:
    renter = await market.renter()
    new = replace(NEW, code="01234567")
    channel = (await market.do(notifications.add, Role.RENTER, renter, new, NOW)).id
    guess = (notifications.confirm, Role.RENTER, renter, channel, "76543210", NOW)
    await while_held(market, guess, guess)
    for _ in range(CODE_TRIES - 2):
        assert await market.do(*guess) is CodeCheck.WRONG
    assert await market.do(*guess) is CodeCheck.USED_UP
