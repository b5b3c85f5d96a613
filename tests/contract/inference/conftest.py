from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.inference.chat import Caller


@pytest.fixture
def daemon(market: LocalMarket, provider: PollDaemon) -> StreamDaemon:
    """P on the stream."""
    return market.connect(provider)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def caller(renter: Renter, pool: ThreadPoolExecutor) -> Caller:
    """R."""
    return Caller(renter, pool)
