from collections.abc import Iterator
from pathlib import Path

import pytest

from dc1.testing.edge import Edge
from dc1.testing.people import Renter
from tests.faults.market import RealMarket


@pytest.fixture
def market(edge: Edge, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RealMarket]:
    """A server process behind Envoy, with the settings that a test is marked with; no daemon yet."""
    settings = request.node.get_closest_marker("settings")
    market = RealMarket(edge, tmp_path, **(settings.kwargs if settings else {}))
    try:
        market.start_server()
        yield market
    finally:
        market.close()


@pytest.fixture
def renter(market: RealMarket) -> Renter:
    """R, with 1000 halala."""
    return market.add_renter()
