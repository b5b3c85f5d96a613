import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dc1.storage.engine.database import Database
from tests.control.small_market import SmallMarket


@pytest.fixture
async def market(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[SmallMarket]:
    """Memory must agree with the database when the test is over."""
    shutil.copy(sqlite_template, tmp_path / "dc1.sqlite3")
    market = SmallMarket(Database.open(f"sqlite:///{tmp_path / 'dc1.sqlite3'}"))
    await market.load()
    yield market
    await market.check()
    await market.db.close()


@pytest.fixture
async def renter(market: SmallMarket) -> int:
    """R, with 1000 halala."""
    return await market.renter()
