"""What was sent to a webhook is sent again when its renter asks (contract 6.3)."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused
from tests.contract.renters.test_webhooks import log
from tests.support.receiver import Receiver


@pytest.mark.settings(webhook_allow_private=True)
def test_what_could_not_be_sent_is_sent_again_when_the_renter_asks(
    market: LocalMarket, renter: Renter, receiver: Receiver, settings_of: Any
) -> None:
    settings_of(renter, webhook_url=receiver.url)
    answered(renter.cancel(renter.submit()["id"]))
    (row,) = eventually(lambda: log(renter, status="delivered"), "the first time")
    again = f"/renters/me/webhook-deliveries/{row['delivery_id']}/resend"

    assert answered(renter.post(again)) == {"success": True, "delivery_id": row["delivery_id"]}
    first, second = receiver.wait(2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    (told,) = eventually(lambda: log(renter, status="delivered"), "the second time")
    assert told["attempts"] == 1

    refused(market.add_renter().post(again), 404, "Delivery not found")
    refused(renter.post("/renters/me/webhook-deliveries/whd_0/resend"), 404, "Delivery not found")
    receiver.answer(500)
    answered(renter.post(again))
    eventually(lambda: log(renter, status="pending") and log(renter)[0]["attempts"], "a failed attempt")
    refused(renter.post(again), 409, "Delivery is still pending")
    market.advance(1)
    eventually(lambda: log(renter, status="delivered"), "its next attempt")
    settings_of(renter, webhook_url=None)
    refused(renter.post(again), 409, "No webhook_url is set")
