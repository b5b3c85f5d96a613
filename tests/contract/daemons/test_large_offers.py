"""Offers that are too large for one message together."""

import pytest

from dc1.services.daemons import daemon_messages
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon, lease_of


def test_a_daemon_that_comes_back_is_told_of_large_offers_one_after_the_other(
    market: LocalMarket, renter: Renter, provider: PollDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if each were the largest of calls: two of those are more than a daemon takes, and every Welcome had both.
    monkeypatch.setattr(daemon_messages, "_MOST_OFFERED_AT_ONCE", 1)
    report = {**REPORT, "gpu_status": {**REPORT["gpu_status"], "gpu_count": 2}}
    first = StreamDaemon(market.edge.target, provider.key, report)
    first.hello()
    for _ in range(2):
        renter.submit()
    offers = [first.expect("offer") for _ in range(2)]
    first.cut()
    daemon = StreamDaemon(market.edge.target, provider.key, report)
    desired = daemon.hello().desired
    assert [lease_of(offer) for offer in desired.offers] == [lease_of(offers[0])]
    assert list(desired.offered) == [lease_of(offers[1])]
    daemon.state.unknown_offers.append(lease_of(offers[1]))
    desired = daemon.beat()
    assert [offer.assignment for offer in desired.offers] == [offers[1].assignment]
    assert list(desired.offered) == [lease_of(offers[0])]
    daemon.close()
