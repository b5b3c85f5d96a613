"""What a look-up costs, and how soon it forgets."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from dc1.control.access import key_look_ups
from dc1.control.operations.credentials import Credentials
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole, NewKey
from dc1.domain.access.roles import Role
from dc1.storage.accounts import keys as key_rows
from dc1.storage.engine.database import Database
from dc1.storage.providers import providers
from dc1.storage.providers.providers import NewProvider
from dc1.testing.clock import ManualClock
from tests.server.harness import START_MS

T = TypeVar("T")


class CountingDatabase:
    """A database that counts its reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.was_asked = asyncio.Event()

    async def read(self, work: Callable[[Any], T]) -> T:
        self.reads += 1
        self.was_asked.set()
        await self.goes_on.wait()
        return await self._database.read(work)


@pytest.fixture
async def database(database_file: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{database_file}")
    yield database
    await database.close()


@pytest.fixture
def counting(database: Database) -> CountingDatabase:
    return CountingDatabase(database)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_MS)


@pytest.fixture
def credentials(counting: CountingDatabase, clock: ManualClock) -> Credentials:
    return Credentials(cast(Database, counting), clock)


async def provider_key(database: Database, expires_at_ms: int | None = None) -> NewKey:
    key = keys.new_key(KeyRole.PROVIDER)

    def store(conn: Any) -> None:
        provider_id = providers.register(
            conn, NewProvider("Najd", f"{key.key_id}@example.sa", "L40", "linux"), START_MS
        )
        key_rows.add(conn, KeyRole.PROVIDER, provider_id, key, START_MS, expires_at_ms=expires_at_ms)

    await database.write(store)
    return key


async def test_a_key_seen_before_costs_no_statement(
    database: Database, counting: CountingDatabase, credentials: Credentials
) -> None:
    key = (await provider_key(database)).key
    first = await credentials.identify(key)
    assert first is not None
    assert first.role is Role.PROVIDER
    reads = counting.reads
    for _ in range(100):
        assert await credentials.identify(key) == first
    assert counting.reads == reads


async def test_a_key_with_the_right_id_and_another_secret_is_refused(
    database: Database, credentials: Credentials
) -> None:
    key = (await provider_key(database)).key
    assert await credentials.identify(key) is not None
    last = "x" if key[-7] != "x" else "y"
    assert await credentials.identify(f"{key[:-7]}{last}{key[-6:]}") is None


async def test_an_unknown_key_is_looked_up_once_in_a_while(
    counting: CountingDatabase, credentials: Credentials, clock: ManualClock
) -> None:
    key = keys.new_key(KeyRole.RENTER).key
    for _ in range(10):
        assert await credentials.identify(key) is None
    assert counting.reads == 1
    clock.advance(6)
    assert await credentials.identify(key) is None
    assert counting.reads == 2


async def test_text_that_is_no_key_is_not_looked_up(counting: CountingDatabase, credentials: Credentials) -> None:
    assert await credentials.identify("dc1-renter-short") is None
    assert counting.reads == 0


async def test_a_remembered_key_expires_on_time(
    database: Database, credentials: Credentials, clock: ManualClock
) -> None:
    key = (await provider_key(database, expires_at_ms=START_MS + 2_000)).key
    assert await credentials.identify(key) is not None
    clock.advance(2)
    assert await credentials.identify(key) is None


async def test_a_forgotten_key_is_read_again(database: Database, credentials: Credentials) -> None:
    key = await provider_key(database)
    assert await credentials.identify(key.key) is not None
    identity = await credentials.identify(key.key)
    assert identity is not None
    owner = identity.account_id
    await database.write(lambda conn: key_rows.revoke(conn, KeyRole.PROVIDER, owner, key.key_id, START_MS))
    assert await credentials.identify(key.key) is not None
    credentials.invalidate(key.key_id)
    assert await credentials.identify(key.key) is None


async def test_what_was_read_before_an_invalidation_is_not_remembered(database: Database, clock: ManualClock) -> None:
    key = await provider_key(database)

    class Revoking(CountingDatabase):
        """Revokes the key and says so while a look-up is under way."""

        async def read(self, work: Callable[[Any], T]) -> T:
            found = await super().read(work)
            if self.reads == 1:
                await database.write(lambda conn: key_rows.revoke_all(conn, KeyRole.PROVIDER, 1, START_MS))
                revoked.invalidate(key.key_id)
            return found

    revoked = Credentials(cast(Database, Revoking(database)), clock)
    assert await revoked.identify(key.key) is not None
    assert await revoked.identify(key.key) is None


async def test_who_comes_while_others_are_looked_up_is_looked_up_with_who_comes_next(
    database: Database, counting: CountingDatabase, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One or two at a time, a fleet that comes back would take a turn of a database thread for each."""
    # Of 5 ms a busy machine may let all pass between two turns of the loop.
    monkeypatch.setattr(key_look_ups, "_GATHER_SECONDS", 0.1)
    first, second, gone, *others = [(await provider_key(database)).key for _ in range(12)]
    counting.goes_on.clear()
    reading = asyncio.create_task(credentials.identify(first))
    await counting.was_asked.wait()
    asked = [asyncio.create_task(credentials.identify(key)) for key in (second, gone)]
    await asyncio.sleep(0)
    asked.pop().cancel()
    counting.goes_on.set()
    assert await reading
    assert all(await asyncio.gather(*asked, *map(credentials.identify, others)))
    assert counting.reads == 2


async def test_of_many_who_waited_for_the_database_a_few_go_on_at_a_time(
    database: Database, counting: CountingDatabase, credentials: Credentials
) -> None:
    """Hundreds of daemons that come back would keep everybody else waiting for as long as all of them take."""
    key = (await provider_key(database)).key
    unknown = [keys.new_key(role).key for role in [KeyRole.PROVIDER] * 60]
    counting.goes_on.clear()
    went_on: list[int] = []

    async def identify(text: str) -> None:
        assert (await credentials.identify(text) is not None) == (text == key)
        went_on.append(turn)

    turn = 0
    first = asyncio.create_task(identify(key))
    await counting.was_asked.wait()
    others = [asyncio.create_task(identify(text)) for text in unknown]
    await asyncio.sleep(0)
    counting.goes_on.set()
    # Each time that this task has its turn, everybody else had one.
    while len(went_on) < 61:
        turn += 1
        await asyncio.sleep(0)
    assert max(Counter(went_on).values()) <= 16
    await asyncio.gather(first, *others)


async def test_who_goes_away_while_others_are_told_fails_nobody(
    database: Database, counting: CountingDatabase, clock: ManualClock
) -> None:
    """All who waited for the same keys had an internal error then."""
    key = await provider_key(database)
    look_ups = key_look_ups.KeyLookUps(cast(Database, counting), clock)
    asked = [asyncio.create_task(look_ups.find(key.key_id)) for _ in range(20)]
    # Once the first was told, when it is the turn of neither this one nor those behind it.
    asked[0].add_done_callback(lambda _: asked[17].cancel())
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found.pop(17), asyncio.CancelledError)
    assert found[0] is not None
    assert found == [found[0]] * 19
