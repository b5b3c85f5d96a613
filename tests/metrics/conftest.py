from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from tests.daemon.loop.fake_server import FakeServer


@pytest.fixture(scope="module")
def watched(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMarket]:
    """A market whose metrics are read on a port of its own."""
    # Where the edge keeps its files, as `dc1 up` has it; the database is the market's own.
    files = {"data_dir": edge.config.directory.parent, "metrics_address": "0"}
    market = LocalMarket(edge, tmp_path_factory.mktemp("watched"), **files)
    yield market
    market.close()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """What a daemon connects to."""
    fake = FakeServer()
    async with fake.listening():
        yield fake
