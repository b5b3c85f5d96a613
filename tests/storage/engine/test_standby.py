"""Lists and history are read from a standby that has all of it, and from the primary whenever it has not."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from dc1.storage.engine.database import Connection, Database, UnusableDatabaseError, normalised
from dc1.storage.engine.postgres import connect_beside_the_pool
from dc1.storage.transfer import care
from dc1.testing.postgres import PostgresServer
from dc1.testing.postgres_pair import PostgresPair

_RATE = text("SELECT rate_halala, current_setting('data_directory') FROM prices WHERE job_type = 'training'")
_SET = text("UPDATE prices SET rate_halala = :rate WHERE job_type = 'training'")
_ROUNDS = 40


@pytest.fixture(scope="module")
def nodes() -> Iterator[PostgresPair]:
    with PostgresPair.running() as pair:
        # Nobody waits for it, as for one that is there to be read only.
        pair.primary.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        pair.primary.sql("SELECT pg_reload_conf()")
        yield pair


def address(node_directory: object) -> str:
    return f"host={node_directory} user=postgres dbname=dc1"


@pytest.fixture
async def db(nodes: PostgresPair) -> AsyncIterator[Database]:
    database = Database.open(address(nodes.primary.directory), read_url=address(nodes.standby.directory))
    yield database
    await database.close()


def rate(conn: Connection) -> tuple[int, str]:
    found, directory = conn.execute(_RATE).one()
    return int(found), str(directory)


async def put(db: Database, value: int) -> None:
    await db.write(lambda conn: conn.execute(_SET, {"rate": value}))


async def until_read_from(db: Database, directory: object) -> None:
    async with asyncio.timeout(20):
        while (await db.read_history(rate))[1] != str(directory):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_every_read_has_what_was_written_before_it_at_whatever_server(nodes: PostgresPair, db: Database) -> None:
    other = Database.open(address(nodes.primary.directory))
    await until_read_from(db, nodes.standby.data)
    answered_by = set()
    for value in range(1, _ROUNDS):
        await put(db if value % 2 else other, value)
        found = await asyncio.gather(*(db.read_history(rate) for _ in range(4)))
        assert {read for read, _ in found} == {value}
        answered_by |= {directory for _, directory in found}
    assert str(nodes.standby.data) in answered_by
    await other.close()


async def test_one_that_lags_is_left_for_the_primary_and_taken_up_again(nodes: PostgresPair, db: Database) -> None:
    await until_read_from(db, nodes.standby.data)
    nodes.standby.sql("SELECT pg_wal_replay_pause()")
    try:
        for value in range(100, 110):
            await put(db, value)
            assert await db.read_history(rate) == (value, str(nodes.primary.data))
    finally:
        nodes.standby.sql("SELECT pg_wal_replay_resume()")
    await until_read_from(db, nodes.standby.data)


async def test_one_that_is_gone_or_stands_still_fails_no_read(nodes: PostgresPair, db: Database) -> None:
    await until_read_from(db, nodes.standby.data)
    # Among them those that are asked just when it stops.
    nodes.standby.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(8):
            found = await asyncio.gather(*(db.read_history(rate) for _ in range(20)))
        assert {directory for _, directory in found} == {str(nodes.primary.data)}
    finally:
        nodes.standby.signal(signal.SIGCONT)
    await until_read_from(db, nodes.standby.data)
    nodes.standby.stop("immediate")
    for _ in range(5):
        assert (await db.read_history(rate))[1] == str(nodes.primary.data)
    nodes.standby.start()
    await until_read_from(db, nodes.standby.data)


async def test_a_read_that_is_in_the_way_of_what_is_followed_is_done_by_the_primary(
    nodes: PostgresPair, db: Database
) -> None:
    await until_read_from(db, nodes.standby.data)
    reads: list[str] = []

    def slow(conn: Connection) -> None:
        reads.append(rate(conn)[1])
        if len(reads) == 1:
            with connect_beside_the_pool(normalised(address(nodes.standby.directory))) as operator:
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                operator.execute(query.encode())
            rate(conn)

    await db.read_history(slow)
    assert reads == [str(nodes.standby.data), str(nodes.primary.data)]


async def test_another_database_is_never_asked(
    nodes: PostgresPair, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    primary, other = address(nodes.primary.directory), postgres_server.create()
    assert care.examine_standby(address(nodes.standby.directory), primary) >= 0
    with pytest.raises(UnusableDatabaseError, match="follows another database"):
        care.examine_standby(other, primary)
    db = Database.open(primary, read_url=other)
    async with asyncio.timeout(10):
        while "other_history" not in caplog.text:
            assert (await db.read_history(rate))[1] == str(nodes.primary.data)
            await asyncio.sleep(0.01)
    await db.close()


async def test_after_a_fail_over_only_who_follows_the_new_primary_is_asked() -> None:
    """Numbers of a line of history that was left may be ahead of those of the line that goes on."""
    with PostgresPair.running() as pair:
        primary, promoted = pair.primary, pair.standby
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        primary.sql("SELECT pg_reload_conf()")
        followed = Database.open(pair.url, read_url=address(promoted.directory))
        left = Database.open(pair.url, read_url=address(primary.directory))
        await until_read_from(followed, promoted.data)
        await until_read_from(left, primary.data)
        primary.sql("ALTER SYSTEM SET default_transaction_read_only = on")
        primary.stop()
        pair.fail_over()
        # It comes back by itself, follows nobody, and is ahead.
        primary.start()
        primary.sql("SELECT pg_logical_emit_message(false, 'dc1', repeat('x', 1000000))")
        for value in range(1, 10):
            for db in (followed, left):
                await put(db, value)
                assert await db.read_history(rate) == (value, str(promoted.data))
        await followed.close()
        await left.close()


def test_an_address_that_is_none_is_refused_at_the_start(nodes: PostgresPair) -> None:
    for wrong in ("sqlite:///dc1.sqlite3", "postgresql://u:p@ssw0rd@h/db"):
        with pytest.raises(UnusableDatabaseError) as refusal:
            Database.open(address(nodes.primary.directory), read_url=wrong)
        assert "ssw0rd" not in str(refusal.value)
