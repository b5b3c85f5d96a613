"""Whether the database takes writes, on the real engines."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from dc1.storage.engine import postgres, write_probe
from dc1.storage.engine.database import Connection, Database, normalised
from dc1.storage.engine.unwritable import UnwritableError, unwritable_reason
from dc1.storage.engine.write_probe import WriteProbe
from tests.storage.engine.postgres_proxy import SOCKET_NAME, CuttingProxy

on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"])

CHANGE = "UPDATE prices SET rate_halala = rate_halala + 1 WHERE job_type = 'training'"
# As a tablespace without room would, at every write of a page.
FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""


def change(conn: Connection) -> None:
    conn.execute(text(CHANGE))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_probe, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(write_probe, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(postgres, "GIVE_UP_AFTER_SECONDS", 1.0)


@pytest.fixture
async def operator(url: str) -> AsyncIterator[Engine]:
    """Somebody else at the same database."""
    engine = create_engine(normalised(url), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


async def refused(db: Database) -> str:
    with pytest.raises((DBAPIError, UnwritableError)) as caught:
        await db.write(change)
    reason = unwritable_reason(caught.value)
    assert reason is not None
    return reason


async def refused_early(db: Database) -> bool:
    tried = False

    def work(_conn: Connection) -> None:
        nonlocal tried
        tried = True

    with pytest.raises(UnwritableError):
        await db.write(work)
    return not tried


async def recovered(db: Database) -> None:
    deadline = time.monotonic() + 10
    while await db.why_unwritable(2) is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    await db.write(change)


@on_postgresql
async def test_a_standby_is_read_only_until_it_is_promoted(db: Database, operator: Engine) -> None:
    assert await db.why_unwritable(5) is None
    name = str(db.url.database)
    await db.write(change)
    with operator.connect() as conn:
        conn.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    assert await refused(db) == "read_only"
    assert await db.why_unwritable(5) == "read_only"
    assert await refused_early(db)
    with operator.connect() as conn:
        conn.exec_driver_sql("SET default_transaction_read_only = off")
        conn.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    await recovered(db)


@on_postgresql
async def test_a_full_disk_of_postgresql_is_found_and_left(db: Database, operator: Engine) -> None:
    with operator.connect() as conn:
        conn.exec_driver_sql(FULL)
        for table in ("prices", "write_probes"):
            conn.exec_driver_sql(
                f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()"
            )
    assert await refused(db) == "disk_full"
    assert await db.why_unwritable(5) == "disk_full"
    assert await refused_early(db)
    with operator.connect() as conn:
        conn.exec_driver_sql("DROP FUNCTION no_room CASCADE")
    await recovered(db)


@on_postgresql
async def test_a_server_that_is_gone_is_found_and_found_again(url: str) -> None:
    directory = Path(str(make_url(url).query["host"]))
    proxy = CuttingProxy(directory / SOCKET_NAME)
    db = Database.open(make_url(url).update_query_dict({"host": proxy.host}).render_as_string(hide_password=False))
    await db.write(change)
    link = Path(proxy.host) / SOCKET_NAME
    hidden = link.rename(link.with_name("hidden"))
    assert db._backend is not None
    db._backend._engine.dispose()  # type: ignore[attr-defined]
    assert await refused(db) == "unreachable"
    assert await db.why_unwritable(5) == "unreachable"
    assert await refused_early(db)
    hidden.rename(link)
    await recovered(db)
    await db.close()
    proxy.close()


@on_postgresql
async def test_a_server_that_stands_still_in_its_probe_keeps_no_other_from_its_own(db: Database, url: str) -> None:
    other = create_engine(normalised(url))
    assert await db.why_unwritable(5) is None
    with other.connect() as conn, conn.begin():
        conn.execute(text("UPDATE write_probes SET filler = '\\x00'"))
        assert await db.why_unwritable(2) is None
    count = text("SELECT count(*) FROM write_probes")
    for _ in range(3):
        assert await db.why_unwritable(5) is None
    assert await db.read(lambda conn: conn.execute(count).scalar_one()) == 2
    other.dispose()


class Disk:
    """Writes that end when they are told to."""

    def __init__(self) -> None:
        self.writes = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def write(self, work: Callable[[Connection], object]) -> None:
        self.writes += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error


async def settled(*checks: Awaitable[object]) -> list[object]:
    return list(await asyncio.gather(*checks))


async def test_many_who_ask_cost_one_write_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_probe, "FRESH_SECONDS", 60.0)
    disk = Disk()
    probe = WriteProbe(disk.write)
    disk.may_end.set()
    assert set(await settled(*(probe.check(1) for _ in range(100)))) == {None}
    assert await probe.check(1) is None
    assert disk.writes == 1
    probe.close()


async def test_a_write_that_hangs_is_waited_for_once() -> None:
    disk = Disk()
    probe = WriteProbe(disk.write)
    assert set(await settled(*(probe.check(0.2) for _ in range(100)))) == {"no_answer"}
    begun = time.monotonic()
    assert await probe.check(0.2) == "no_answer"
    assert time.monotonic() - begun < 0.1
    assert disk.writes == 1
    disk.may_end.set()
    assert await probe.check(1) is None
    probe.close()
