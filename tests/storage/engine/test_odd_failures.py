"""Whatever a unit of work raises is that unit's alone: the threads of the database live, and the neighbours commit."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from dc1.storage.engine.database import Database
from tests.support.made_up_failures import KINDS


def raising(failure: Callable[[], BaseException]) -> Callable[[Connection], None]:
    def work(conn: Connection) -> None:
        raise failure()

    return work


def one(conn: Connection) -> int:
    return int(conn.execute(text("SELECT 1")).scalar_one())


@pytest.mark.parametrize("way", ["write", "read"])
async def test_no_kind_of_failure_is_felt_by_the_neighbours(db: Database, way: str) -> None:
    run = db.write if way == "write" else db.read
    async with asyncio.timeout(20):
        for kind in KINDS:
            # In one group, the neighbour behind it.
            failed, lived = await asyncio.gather(run(raising(kind)), run(one), return_exceptions=True)
            assert isinstance(failed, Exception)
            assert lived == 1
        assert await db.write(one) == 1
