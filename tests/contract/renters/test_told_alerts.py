"""Owners and operators are told of what is wrong with machines, each thing once while it lasts (contract 6.7)."""

import json

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.contract.expect import answered
from tests.support.receiver import Receiver

pytestmark = pytest.mark.settings(webhook_allow_private=True)


def test_a_machine_that_is_gone_is_told_once(market: LocalMarket, receiver: Receiver) -> None:
    owner, other = market.add_provider(), market.add_provider()
    for key, events in ((ADMIN_TOKEN, ["fleet.alert"]), (owner.key, [])):
        sent = {"kind": "webhook", "target": receiver.url, "events": events}
        answered(market.rest.post("/notifications", sent, key=key), 201)

    def told(count: int) -> list[Json]:
        return sorted((json.loads(each.body) for each in receiver.wait(count)), key=lambda each: each["event"])

    gone = (owner, other)
    market.advance(1000, silent=gone)
    fleet, machine = told(2)
    assert (fleet["event"], fleet["facts"]) == (
        "fleet.alert",
        {"reason": "PROVIDER_OFFLINE", "count": 2, "machine_ids": f"{owner.id}, {other.id}"},
    )
    assert (machine["event"], machine["facts"]["machine_id"]) == ("machine.offline", owner.id)

    def is_noted() -> bool:
        listed = [answered(market.rest.get("/notifications", key=key))["channels"] for key in (ADMIN_TOKEN, owner.key)]
        return all(channel["last_sent_at"] for channels in listed for channel in channels)

    # A server that stops between the answer of who is told and its note of it has it told once more.
    eventually(is_noted)
    # Kept by the database: the next server tells only what is new.
    market.restart()
    market.advance(300, silent=gone)
    third = market.add_provider()
    market.advance(1000, silent=(*gone, third))
    assert told(3)[1]["facts"] == {"reason": "PROVIDER_OFFLINE", "count": 1, "machine_ids": str(third.id)}
