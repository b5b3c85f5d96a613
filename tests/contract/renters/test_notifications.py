"""People are told where they want to be, of what concerns them, in their language (contract 6.7)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dc1.domain.access.notifications import (
    EVENTS_OF,
    ChannelKind,
    NotificationEvent,
    address_of,
    hint_of,
    is_target,
    message_for,
    text_of,
)
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.scene import CHAT, IBAN, Scene
from tests.support.receiver import Receiver

pytestmark = pytest.mark.settings(webhook_allow_private=True)


@pytest.fixture
def listen(market: LocalMarket, receiver: Receiver) -> Callable[..., Json]:
    def add(key: str, **more: Any) -> Json:
        sent = {"kind": "webhook", "target": receiver.url, **more}
        channel: Json = answered(market.rest.post("/notifications", sent, key=key), 201)["channel"]
        return channel

    return add


def told(receiver: Receiver, count: int) -> list[Json]:
    return [json.loads(request.body) for request in receiver.wait(count)]


def test_each_role_is_told_of_what_concerns_it(
    market: LocalMarket, renter: Renter, receiver: Receiver, listen: Callable[..., Json]
) -> None:
    listen(ADMIN_TOKEN)
    paid = Scene(market, "paid")
    owner = paid.provider
    (waiting,) = told(receiver, 1)
    assert (waiting["event"], waiting["facts"]["machine_id"]) == ("approval.waiting", owner.id)

    listen(owner.key, language="ar")
    asked = answered(owner.post("/providers/me/withdraw", {"amount_halala": 1000, "iban": IBAN}), 201)
    answered(market.admin.patch(f"/admin/withdrawals/{asked['withdrawal_id']}", {"status": "processing"}))
    answered(market.admin.patch(f"/admin/withdrawals/{asked['withdrawal_id']}", {"status": "paid"}))
    requested, payout = sorted(told(receiver, 3)[1:], key=lambda each: each["event"], reverse=True)
    assert (requested["event"], payout["event"]) == ("withdrawal.requested", "payout.paid")
    assert payout["text"] == f"حُوّل مبلغ طلب السحب {asked['withdrawal_id']} وقدره 1000 هللة."
    assert IBAN not in json.dumps((requested, payout))

    listen(renter.key, events=["job.cancelled"])
    job = renter.submit(provider_id=owner.id)
    answered(renter.cancel(job["id"]))
    cancelled = told(receiver, 4)[-1]
    assert (cancelled["event"], cancelled["text"]) == ("job.cancelled", f"Job {job['job_id']} was cancelled.")


def test_what_does_not_arrive_is_tried_again(
    market: LocalMarket, renter: Renter, receiver: Receiver, listen: Callable[..., Json]
) -> None:
    channel = listen(renter.key)
    receiver.answer(500)
    answered(renter.post(f"/notifications/{channel['id']}/test", {}))

    def shown() -> Json:
        (row,) = answered(renter.get("/notifications"))["channels"]
        return dict(row)

    eventually(lambda: shown()["last_error"] == "The answer was HTTP 500")
    # Kept by the database: another server would send it as well.
    market.restart()
    market.advance(5)
    first, second = told(receiver, 2)
    assert first == second
    eventually(lambda: shown()["last_error"] is None)
    assert show(shown(), "last_sent_at", "hint") == {"last_sent_at": market.now(), "hint": receiver.url.split("/")[2]}
    # What opens it is shown to nobody, and is not in the database as it was given.
    assert "room=7" not in json.dumps(answered(renter.get("/notifications")))


def test_channels_are_their_accounts_own(market: LocalMarket, renter: Renter, listen: Callable[..., Json]) -> None:
    channel = listen(renter.key)
    path = f"/notifications/{channel['id']}"
    for key in (market.add_renter().key, market.add_provider().key, ADMIN_TOKEN):
        assert answered(market.rest.get("/notifications", key=key))["channels"] == []
        refused(market.rest.rest("DELETE", path, key=key), 404, "Channel not found")
    answered(market.rest.rest("DELETE", path, key=renter.key))
    refused(renter.post(f"{path}/test", {}), 404, "Channel not found")
    for _ in range(10):
        listen(renter.key)
    added = renter.post("/notifications", {"kind": "telegram", "target": CHAT})
    refused(added, 409, "An account has at most 10 channels")


@pytest.mark.settings(webhook_allow_private=False)
@pytest.mark.parametrize(
    "sent",
    [
        {"kind": "webhook", "target": "https://127.0.0.1/x"},
        {"kind": "webhook", "target": "http://example.com/x"},
        {"kind": "slack", "target": "https://example.com/services/T/B/x"},
        {"kind": "slack", "target": "https://hooks.slack.com.example.com/services/T/B/x"},
        {"kind": "telegram", "target": "https://127.0.0.1/x"},
        {"kind": "telegram", "target": f"{CHAT}/../x"},
        {"kind": "json", "target": "https://example.com"},
        {"kind": "telegram", "target": CHAT, "events": ["payout.paid"]},
        {"kind": "telegram", "target": CHAT, "language": "fr"},
    ],
    ids=str,
)
def test_nothing_in_the_markets_own_network_is_reached(renter: Renter, sent: Json) -> None:
    refused(renter.post("/notifications", sent), 400)
    assert answered(renter.get("/notifications"))["channels"] == []


@pytest.mark.parametrize("event", NotificationEvent)
def test_every_event_has_its_words_in_both_languages(event: NotificationEvent) -> None:
    facts = dict.fromkeys(("error", "name", "job_id"), "<!channel> &\n{name}")
    english, arabic = text_of(event, "en", facts), text_of(event, "ar", facts)
    assert english != arabic
    assert "\n" not in english
    slack = message_for(ChannelKind.SLACK, "https://hooks.slack.com/services/T/B/x", event, english, {}, "now")
    assert "<!" not in str(slack["text"])
    of_the_channel = (NotificationEvent.TEST, NotificationEvent.CONFIRMATION)
    assert event in of_the_channel or any(event in events for events in EVENTS_OF.values())


@pytest.mark.parametrize("rest", ["/hook", "?key=s3cret", "#s3cret", "\\s3cret", ""])
def test_of_an_address_no_more_than_the_host_is_shown(rest: str) -> None:
    assert hint_of(ChannelKind.WEBHOOK, f"https://hooks.example.sa:8443{rest}") == "hooks.example.sa:8443"


def test_a_telegram_chat_is_told_by_its_bot() -> None:
    assert is_target(ChannelKind.TELEGRAM, CHAT)
    token, chat = CHAT.split("/")
    assert address_of(ChannelKind.TELEGRAM, CHAT) == f"https://api.telegram.org/bot{token}/sendMessage"
    assert (
        message_for(ChannelKind.TELEGRAM, CHAT, "test", "*hi*", {}, "now")["chat_id"]
        == chat
        == hint_of(ChannelKind.TELEGRAM, CHAT)
    )
