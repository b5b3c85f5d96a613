"""A server's clock: which time it begins with, what it follows, and what it only tells of."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dc1.domain.base.clock import DAY_MS, SystemClock, wall_ms
from dc1.server.process.timekeeping import Timekeeping, WatchedClock
from dc1.storage.cluster import clocks
from dc1.storage.engine.database import Database
from dc1.testing.postgres import PostgresServer


class OtherClock:
    """A clock beside the server's, so much ahead of it."""

    def __init__(self, clock: SystemClock, ahead_ms: int = 0) -> None:
        self._clock = clock
        self.ahead_ms = ahead_ms

    async def read(self) -> int:
        return self._clock.now_ms() + self.ahead_ms


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
async def database(database_file: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{database_file}")
    yield database
    await database.close()


def shift(clock: SystemClock, ms: int) -> None:
    """Make a clock wrong by so much."""
    clock.continue_from(clock.booted_ms + ms)


@pytest.mark.parametrize("step_ms", [2 * DAY_MS, -2 * DAY_MS, 1_500])
async def test_a_step_is_told_once_and_not_followed(clock: SystemClock, step_ms: int) -> None:
    other = OtherClock(clock)
    watched = WatchedClock(clock, "machine", other.read, guides=True)
    before = clock.booted_ms
    with capture_logs() as logs:
        await watched.look()
        other.ahead_ms = step_ms
        for _ in range(3):
            await watched.look()
        other.ahead_ms = 0
        await watched.look()
    told = [(entry["event"], round(entry["by_seconds"], 1), round(entry["ahead_seconds"], 1)) for entry in logs]
    assert told == [("clock_stepped", step_ms / 1000, step_ms / 1000), ("clock_stepped", -step_ms / 1000, 0)]
    assert abs(clock.booted_ms - before) <= 1


@pytest.mark.parametrize("ahead_ms", [400, -400])
async def test_a_clock_that_drifts_is_followed_slowly(clock: SystemClock, ahead_ms: int) -> None:
    other = OtherClock(clock, ahead_ms)
    watched = WatchedClock(clock, "machine", other.read, guides=True)
    begun, before = time.monotonic(), clock.booted_ms
    with capture_logs() as logs:
        while (seconds := time.monotonic() - begun) < 0.3:
            await watched.look()
    moved = (clock.booted_ms - before) * (1 if ahead_ms > 0 else -1)
    assert 0 <= moved <= 1 + seconds * 0.5
    assert logs == []


async def test_a_clock_that_does_not_guide_is_told_of_only(clock: SystemClock) -> None:
    other = OtherClock(clock, 900)
    watched = WatchedClock(clock, "machine", other.read, guides=False)
    before = clock.booted_ms
    await asyncio.sleep(0.05)
    await watched.look()
    assert clock.booted_ms == before


async def test_the_next_server_of_a_machine_goes_on_as_the_one_before(database: Database) -> None:
    first = SystemClock()
    # As though the machine's clock had been set two days back since.
    shift(first, 2 * DAY_MS)
    keeper = Timekeeping(first, database)
    await keeper.start()
    await keeper.stop()

    second = SystemClock()
    await Timekeeping(second, database).set()
    assert abs(second.now_ms() - first.now_ms()) < 100

    third = SystemClock()
    await Timekeeping(third, database, reset=True).set()
    assert abs(third.now_ms() - wall_ms()) < 1000


async def test_another_boot_is_another_clock(database: Database) -> None:
    await database.write(lambda conn: clocks.note(conn, "another boot", 7, wall_ms()))
    clock = SystemClock()
    await Timekeeping(clock, database).set()
    assert abs(clock.now_ms() - wall_ms()) < 1000
    # A month later nobody remembers that machine.
    await database.write(lambda conn: clocks.note(conn, "this boot", 8, wall_ms() + 31 * DAY_MS))
    assert await database.read(lambda conn: clocks.booted_ms(conn, "another boot")) is None
    assert await database.read(lambda conn: clocks.booted_ms(conn, "this boot")) == 8


async def test_servers_that_share_a_database_begin_at_its_time(postgres_server: PostgresServer) -> None:
    database = Database.open(postgres_server.create())
    try:
        clock = SystemClock()
        # A replica whose machine is seven seconds off.
        shift(clock, 7_000)
        await Timekeeping(clock, database).set()
        assert abs(clock.now_ms() - await database.read(clocks.database_now_ms)) < 1000
    finally:
        await database.close()
