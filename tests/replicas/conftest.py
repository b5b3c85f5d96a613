from collections.abc import Iterator
from pathlib import Path

import pytest

from dc1.domain.base.clock import SystemClock
from dc1.testing.clock import SkewedClock
from dc1.testing.edge import Edge
from dc1.testing.people import Renter
from dc1.testing.postgres import PostgresServer
from tests.replicas.pair import Pair


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "skewed(seconds): the clock of replica A is ahead by so much")


@pytest.fixture(scope="session")
def edges(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Edge, Edge]]:
    """An Envoy for each replica; the replicas come and go behind them."""
    other = Edge(tmp_path_factory.mktemp("edge"))
    yield edge, other
    other.close()


@pytest.fixture
def pair(
    edges: tuple[Edge, Edge], postgres_server: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Pair]:
    """Two replicas on an empty database: rate limits off, admin token set, a short grace, all else by default."""
    settings = request.node.get_closest_marker("settings")
    skewed = request.node.get_closest_marker("skewed")
    clocks = [SkewedClock(skewed.args[0]) if skewed else SystemClock(), SystemClock()]
    chosen = {"stream_grace_seconds": 2, **(settings.kwargs if settings else {})}
    pair = Pair(edges, tmp_path, postgres_server.create(), clocks, **chosen)
    yield pair
    pair.close()


@pytest.fixture
def renter(pair: Pair) -> Renter:
    """R, with 1000 halala, who calls replica A."""
    return pair.add_renter()
