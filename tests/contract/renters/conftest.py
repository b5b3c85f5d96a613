"""A receiver of webhooks, and how a renter names it."""

from collections.abc import Iterator
from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from tests.contract.expect import answered
from tests.support.receiver import CERTIFICATE, Receiver


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A host that the sender trusts; it is on a private address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def settings_of(market: LocalMarket) -> Any:
    def change(renter: Renter, **body: Any) -> Json:
        settings: Json = answered(market.rest.patch("/renters/settings", body, key=renter.key))["settings"]
        return settings

    return change
