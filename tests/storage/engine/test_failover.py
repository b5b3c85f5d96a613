"""A standby takes over from its primary, and writes go on there without a restart of ours."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from dc1.storage.cluster.change_feed import Notifications, SharedTokens
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.unwritable import OutcomeUnknownError, UnwritableReason, unwritable_reason
from dc1.testing.postgres_pair import PostgresPair

_WRITERS = 8
_RATE = text("SELECT rate_halala FROM prices WHERE job_type = 'training'")
_RAISE = text("UPDATE prices SET rate_halala = rate_halala + 1 WHERE job_type = 'training'")


@pytest.fixture
def nodes() -> Iterator[PostgresPair]:
    with PostgresPair.running() as pair:
        yield pair


@pytest.fixture
async def db(nodes: PostgresPair) -> AsyncIterator[Database]:
    database = Database.open(nodes.url, connections=_WRITERS)
    yield database
    await database.close()


@dataclass
class Tally:
    """What writers were told, and when the last of them was told that its write is stored."""

    stored: int = 0
    unknown: int = 0
    refused: list[Exception] = field(default_factory=list)
    stored_at: float = 0.0
    stopped: bool = False


def raise_rate(conn: Connection) -> None:
    conn.execute(_RAISE)


async def rate(db: Database) -> int:
    return await db.read(lambda conn: int(conn.execute(_RATE).scalar_one()))


async def write_on(db: Database, tally: Tally) -> None:
    while not tally.stopped:
        try:
            await db.write(raise_rate)
            tally.stored += 1
            tally.stored_at = time.monotonic()
        except OutcomeUnknownError:
            tally.unknown += 1
        except Exception as error:
            tally.refused.append(error)
            await asyncio.sleep(0.05)


async def fail_over_under_load(db: Database, fail_over: Callable[[], None]) -> Tally:
    """Have writers write before, while and after another node becomes the primary; nobody is told a lie."""
    before, tally = await rate(db), Tally()
    writers = [asyncio.create_task(write_on(db, tally)) for _ in range(_WRITERS)]
    try:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(fail_over)
        done_at, done = time.monotonic(), tally.stored
        while tally.stored < done + 50:
            assert time.monotonic() < done_at + 10, f"no writes after the fail-over: {tally}"
            await asyncio.sleep(0.05)
    finally:
        tally.stopped = True
        await asyncio.gather(*writers)
    assert tally.stored <= await rate(db) - before <= tally.stored + tally.unknown
    # Those whose COMMIT was on its way, at the most.
    assert tally.unknown <= _WRITERS
    # A COMMIT that waits for a standby which is none any more keeps its rows locked until it is given up: who waits for
    # them meanwhile is told that they are.
    assert {unwritable_reason(error) for error in tally.refused} <= {UnwritableReason.LOCKED}
    return tally


def directory_of(conn: Connection) -> str:
    return str(conn.execute(text("SELECT current_setting('data_directory')")).scalar_one())


async def test_a_primary_that_crashes_is_left_for_its_standby(nodes: PostgresPair, db: Database) -> None:
    def fail_over() -> None:
        nodes.primary.stop("immediate")
        nodes.fail_over()

    await fail_over_under_load(db, fail_over)


async def test_a_primary_that_is_demoted_in_place_is_left_by_everybody(nodes: PostgresPair, db: Database) -> None:
    """Nothing ends the connections that lead to it, neither the pool's nor those of notifications."""
    here, there = Notifications(db.url, "here"), Notifications(db.url, "there")
    heard: asyncio.Queue[object] = asyncio.Queue()
    await there.subscribe()
    listening = asyncio.create_task(there.listen(heard.put_nowait))
    await here.send()
    await asyncio.wait_for(heard.get(), 10)

    def fail_over() -> None:
        nodes.primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        nodes.primary.sql("SELECT pg_reload_conf()")
        nodes.fail_over()

    await fail_over_under_load(db, fail_over)
    places = await asyncio.gather(*(db.read(directory_of) for _ in range(4 * _WRITERS)))
    assert set(places) == {str(nodes.standby.data)}
    # Its own round has found out meanwhile, or the first that is not heard does.
    nodes.primary.stop()
    said = SharedTokens(1, 1, "سلام", 1)
    async with asyncio.timeout(60):
        while True:
            await here.send([said])
            with suppress(TimeoutError):
                while await asyncio.wait_for(heard.get(), 1) != [said]:
                    pass
                break
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await here.close()
    await there.close()


async def test_two_standbys_are_read_only_until_one_is_promoted(nodes: PostgresPair, db: Database) -> None:
    nodes.primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    nodes.primary.sql("SELECT pg_reload_conf()")
    begun = time.monotonic()
    while await db.why_unwritable(2) != "read_only":
        assert time.monotonic() < begun + 40
        await asyncio.sleep(0.1)
    nodes.fail_over()
    promoted = time.monotonic()
    while await db.why_unwritable(2) is not None:
        assert time.monotonic() < promoted + 10
        await asyncio.sleep(0.05)
    await db.write(raise_rate)
