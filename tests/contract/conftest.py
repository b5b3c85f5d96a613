from collections.abc import Callable, Iterator

import pytest

from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Rest


@pytest.fixture(scope="module")
def quiet_market(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMarket]:
    """One market for all tests of a module that do not mind each other. None of it may start another one."""
    market = LocalMarket(edge, tmp_path_factory.mktemp("quiet"))
    yield market
    market.close()


@pytest.fixture
def rest(market: LocalMarket) -> Rest:
    """Anybody."""
    return market.rest


@pytest.fixture
def admin(market: LocalMarket) -> Admin:
    """A: the holder of the admin token."""
    return market.admin


@pytest.fixture
def renter(market: LocalMarket) -> Renter:
    """R: renter 1, fresh, with 1000 halala."""
    return market.add_renter()


@pytest.fixture
def provider(market: LocalMarket) -> PollDaemon:
    """P: provider 1, approved, one GPU, its heartbeat just received."""
    return market.add_provider()


@pytest.fixture
def finished_job(renter: Renter, provider: PollDaemon) -> Callable[[], int]:
    """Runs a J3 of R on P to its end; returns its id."""

    def finish() -> int:
        job = renter.submit()
        handed_out = provider.next()
        assert handed_out["id"] == job["id"]
        provider.result(job["id"])
        row_id: int = job["id"]
        return row_id

    return finish
