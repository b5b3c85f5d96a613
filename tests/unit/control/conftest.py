import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dc1.storage.engine.database import Database, normalised
from dc1.storage.engine.migrate import upgrade
from tests.unit.control.small_market import SmallMarket


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy from."""
    path = tmp_path_factory.mktemp("control") / "template.sqlite3"
    upgrade(normalised(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def market(empty_database: Path, tmp_path: Path) -> AsyncIterator[SmallMarket]:
    """Memory must agree with the database when the test is over."""
    shutil.copy(empty_database, tmp_path / "dc1.sqlite3")
    market = SmallMarket(Database.open(f"sqlite:///{tmp_path / 'dc1.sqlite3'}"))
    await market.load()
    yield market
    await market.check()
    await market.db.close()


@pytest.fixture
async def renter(market: SmallMarket) -> int:
    """R, with 1000 halala."""
    return await market.renter()
