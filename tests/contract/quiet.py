"""Fixtures of modules whose tests do not mind each other, and share one market and the people in it.

A module takes what it needs by name: `market, renter = quiet.market, quiet.renter`.
"""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon


@pytest.fixture(scope="module")
def market(quiet_market: LocalMarket) -> LocalMarket:
    """The module's market, which no test restarts."""
    return quiet_market


@pytest.fixture(scope="module")
def renter(market: LocalMarket) -> Renter:
    """R: renter 1 with 1000 halala, less what the tests before spent."""
    return market.add_renter()


@pytest.fixture(scope="module")
def provider(market: LocalMarket) -> PollDaemon:
    """P: provider 1, approved, one GPU, heard when the first test asked for it."""
    return market.add_provider()
