"""The sender against real sockets; only the resolver is made up."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dc1.control.delivery import outbox_watch, webhook_sender
from dc1.control.delivery.webhook_sender import WebhookSender
from dc1.control.delivery.webhook_targets import NotPublicError, Targets, look_up
from dc1.control.feeds.outboxes import Outboxes
from dc1.domain.access.secret_box import SecretBox
from dc1.domain.access.webhooks import RETRY_SECONDS, secret_purpose
from dc1.domain.base.clock import SystemClock
from dc1.domain.jobs.states import Actor
from dc1.storage.accounts import renters, webhooks
from dc1.storage.accounts.webhooks import DeliveryRow
from dc1.storage.engine.database import Connection, Database
from dc1.storage.jobs import lifecycle
from dc1.testing.clock import ManualClock
from tests.storage.market import NOW, Market
from tests.support.receiver import CERTIFICATE, Receiver

SECRET_BOX = SecretBox(lambda: "k" * 32)
PUBLIC = "1.1.1.1"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
async def market(database_file: Path) -> AsyncIterator[Market]:
    database = Database.open(f"sqlite:///{database_file}")
    yield Market(database)
    await database.close()


class Outbox:
    """A renter who listens, and the senders that send to them."""

    def __init__(self, market: Market, targets: Targets, answer_seconds: float = 5.0) -> None:
        self.market = market
        self.clock = ManualClock(NOW)
        self.targets = targets
        self.outboxes = Outboxes()
        market.db.on_filled = self.outboxes.filled
        parts = market.db, self.clock, self.outboxes, targets, SECRET_BOX
        self.sender = WebhookSender(*parts, answer_seconds=answer_seconds)

    async def cancelled_job(self, url: str, secret: str | None = None) -> int:
        """Something to tell a new renter of."""
        renter = await self.market.renter()
        sealed = SECRET_BOX.seal("whsec_x", secret_purpose(renter)) if secret is None else secret
        await self.market.do(renters.set_webhook, renter, url, sealed)
        job = await self.market.submit(renter)
        await self.market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
        return renter

    async def delivery(self, renter: int) -> DeliveryRow:
        """The delivery to a renter, once it was tried."""
        async with asyncio.timeout(8):
            while True:
                (row,) = (await self.market.see(webhooks.page, renter, limit=9)).rows
                if row.attempts:
                    return row
                await asyncio.sleep(0.01)


def resolving(*answers: list[str]) -> Callable[[str], list[str]]:
    """A resolver that says something else each time, the last answer for ever."""
    left = list(answers)
    return lambda host: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("found", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:10.0.0.1"], []])
async def test_every_address_of_a_host_must_be_public(found: list[str]) -> None:
    targets = Targets(resolver=resolving(found))
    with pytest.raises(NotPublicError):
        await targets.resolve("https://hooks.example.com/")
    targets.close()


async def test_a_name_that_nobody_answers_holds_up_no_other(market: Market, receiver: Receiver) -> None:
    answered = threading.Event()

    def resolver(host: str) -> list[str]:
        if host == "slow.example.com":
            answered.wait(20)
        return ["127.0.0.1"]

    targets = Targets(allow_private=True, resolver=resolver)
    outbox = Outbox(market, targets)
    slow: list[asyncio.Task[object]] = [
        asyncio.create_task(targets.resolve("https://slow.example.com/")) for _ in range(100)
    ]
    slow += [
        asyncio.create_task(targets.check(f"https://slow.example.com:{port}/", "renter:1")) for port in range(1, 100)
    ]
    await outbox.sender.start()
    assert (await outbox.delivery(await outbox.cancelled_job(receiver.url))).status == "delivered"
    slow.pop().cancel()
    answered.set()
    await asyncio.gather(*slow, return_exceptions=True)
    await outbox.sender.stop()


async def test_dead_names_of_one_renter_keep_no_other_from_saving_an_address() -> None:
    answered = threading.Event()

    def resolver(host: str) -> list[str]:
        if host.startswith("slow"):
            answered.wait(20)
        return ["127.0.0.1"]

    targets = Targets(allow_private=True, resolver=resolver)
    slow = [
        asyncio.create_task(targets.check(f"https://slow{number}.example.com/", "provider:1")) for number in range(100)
    ]
    await asyncio.sleep(0)
    await asyncio.wait_for(targets.check("https://quick.example.com/", "renter:1"), 10)
    assert not any(task.done() for task in slow)
    slow.pop().cancel()
    answered.set()
    await asyncio.gather(*slow, return_exceptions=True)
    targets.close()


async def test_a_name_is_looked_up_once_and_its_answer_is_what_is_connected_to(
    market: Market, receiver: Receiver
) -> None:
    """A name that leads elsewhere when it is asked again (DNS rebinding) leads nowhere."""
    asked: list[str] = []

    def resolver(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    # Nobody but this resolver knows the name, and the certificate is not the name's: the handshake must fail.
    outbox = Outbox(market, Targets(allow_private=True, resolver=resolver))
    await outbox.sender.start()
    stranger = await outbox.cancelled_job(receiver.url.replace("localhost", "hooks.example.com"))
    known = await outbox.cancelled_job(receiver.url)
    row = await outbox.delivery(stranger)
    assert (row.status, row.response_status, row.error) == ("pending", None, "The request failed: ConnectError")
    assert (await outbox.delivery(known)).status == "delivered"
    assert sorted(asked) == ["hooks.example.com", "localhost"]
    (request,) = receiver.received
    assert json.loads(request.body)["event"] == "job.cancelled"
    await outbox.sender.stop()


async def test_a_host_that_became_private_gets_nothing(market: Market, receiver: Receiver) -> None:
    targets = Targets(resolver=resolving([PUBLIC], ["127.0.0.1"]))
    await targets.resolve(receiver.url)
    outbox = Outbox(market, targets)
    await outbox.sender.start()
    row = await outbox.delivery(await outbox.cancelled_job(receiver.url))
    assert (row.status, row.error) == ("pending", "The host is not public")
    assert receiver.received == []
    await outbox.sender.stop()


async def test_a_name_that_is_found_again_gets_what_came_due_meanwhile(market: Market, receiver: Receiver) -> None:
    outbox = Outbox(market, Targets(allow_private=True, resolver=resolving([], ["127.0.0.1"])))
    renter = await outbox.cancelled_job(receiver.url)
    await outbox.sender.start()
    assert (await outbox.delivery(renter)).status == "pending"
    outbox.clock.advance(RETRY_SECONDS[0])
    outbox.outboxes.look()
    async with asyncio.timeout(8):
        while (await outbox.delivery(renter)).status != "delivered":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert (await outbox.delivery(renter)).attempts == 2
    await outbox.sender.stop()


async def test_further_addresses_are_tried_when_one_refuses(market: Market, receiver: Receiver) -> None:
    outbox = Outbox(market, Targets(allow_private=True, resolver=lambda host: ["127.0.0.9", "127.0.0.1"]))
    await outbox.sender.start()
    row = await outbox.delivery(await outbox.cancelled_job(receiver.url))
    assert (row.status, row.response_status) == ("delivered", 200)
    await outbox.sender.stop()


async def test_an_answer_that_does_not_come_is_a_failure(market: Market, receiver: Receiver) -> None:
    receiver.silence.clear()
    outbox = Outbox(market, Targets(allow_private=True), answer_seconds=0.3)
    await outbox.sender.start()
    row = await outbox.delivery(await outbox.cancelled_job(receiver.url))
    assert (row.status, row.error) == ("pending", "No answer within 0.3 s")
    await outbox.sender.stop()


async def test_a_secret_that_cannot_be_read_is_a_failure(market: Market, receiver: Receiver) -> None:
    outbox = Outbox(market, Targets(allow_private=True))
    await outbox.sender.start()
    row = await outbox.delivery(await outbox.cancelled_job(receiver.url, secret="sealed by nobody"))
    assert (row.status, row.error) == ("pending", "The signing secret cannot be read")
    assert receiver.received == []
    await outbox.sender.stop()


async def test_what_is_put_there_is_sent_at_once_and_nobody_looks_for_it(
    market: Market, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender looked four times a second, which was half of what an idle server cost."""
    monkeypatch.setattr(outbox_watch, "_LOOK_SECONDS", 3600.0)
    outbox, reads = Outbox(market, Targets(allow_private=True)), 0
    read = market.db.read

    async def counted(work: Callable[[Connection], Any]) -> Any:
        nonlocal reads
        reads += work.__qualname__.startswith("WebhookSender")
        return await read(work)

    monkeypatch.setattr(market.db, "read", counted)
    await outbox.sender.start()
    receiver.answer(500)
    first = await outbox.cancelled_job(receiver.url)
    assert (await outbox.delivery(first)).status == "pending"
    assert (await outbox.delivery(await outbox.cancelled_job(receiver.url))).status == "delivered"
    # At its start, and for each before it is taken, after that, and once it ended.
    assert reads <= 7
    await outbox.sender.stop()


async def test_what_comes_due_is_sent_by_the_clock(
    market: Market, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_watch, "_LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(webhook_sender, "RETRY_SECONDS", (0.1, 3600))
    outbox = Outbox(market, Targets(allow_private=True))
    outbox.sender = WebhookSender(market.db, SystemClock(), outbox.outboxes, outbox.targets, SECRET_BOX)
    receiver.answer(500)
    renter = await outbox.cancelled_job(receiver.url)
    await outbox.sender.start()
    async with asyncio.timeout(8):
        while (await outbox.delivery(renter)).status != "delivered":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    await outbox.sender.stop()


async def test_of_what_one_server_cannot_take_the_others_are_told(
    market: Market, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_watch, "_LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(webhook_sender, "_MAX_PER_RENTER", 1)
    busy, free = (Outbox(market, Targets(allow_private=True)) for _ in range(2))
    market.db.on_filled = busy.outboxes.filled
    busy.outboxes.tell_others = free.outboxes.look
    for outbox in (busy, free):
        await outbox.sender.start()
    receiver.silence.clear()
    renter = await busy.cancelled_job(receiver.url)
    async with asyncio.timeout(8):
        while not receiver.received:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    job = await market.submit(renter)
    await market.do(lifecycle.cancel, job.id, Actor.RENTER, NOW)
    await asyncio.to_thread(receiver.wait, 2)
    receiver.silence.set()
    for outbox in (busy, free):
        await outbox.sender.stop()


async def test_two_senders_deliver_everything_once(market: Market, receiver: Receiver) -> None:
    outboxes = [Outbox(market, Targets(allow_private=True)) for _ in range(2)]
    told = [await outboxes[0].cancelled_job(receiver.url) for _ in range(20)]
    for outbox in outboxes:
        await outbox.sender.start()
    rows = [await outboxes[0].delivery(renter) for renter in told]
    assert {row.status for row in rows} == {"delivered"}
    assert len(receiver.received) == len({request.headers["x-dcp-delivery"] for request in receiver.received}) == 20
    for outbox in outboxes:
        await outbox.sender.stop()


def test_names_are_looked_up() -> None:
    assert set(look_up("localhost")) <= {"127.0.0.1", "::1"}
