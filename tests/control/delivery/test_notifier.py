"""Notifications on their way, against real sockets: each channel for itself, whatever its host does."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from dc1.control.delivery import notifier as notifying
from dc1.control.delivery.notifier import Notifier
from dc1.control.delivery.webhook_targets import Targets
from dc1.control.feeds.outboxes import Outboxes
from dc1.domain.access.notifications import ChannelKind, channel_purpose
from dc1.domain.access.roles import Role
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import ChannelRow, NewChannel
from dc1.testing.clock import ManualClock
from tests.server.test_webhook_sender import SECRET_BOX, market, receiver
from tests.storage.market import NOW, Market
from tests.support.receiver import Receiver

__all__ = ["market", "receiver"]


def resolve(host: str) -> list[str]:
    if host == "odd.example":
        raise RuntimeError("10.0.0.1")
    return ["127.0.0.1"]


@pytest.fixture
async def notifier(market: Market) -> AsyncIterator[Notifier]:
    outboxes, targets = Outboxes(), Targets(allow_private=True, resolver=resolve)
    market.db.on_filled = outboxes.filled
    notifier = Notifier(market.db, ManualClock(NOW), outboxes, targets, SECRET_BOX)
    await notifier.start()
    yield notifier
    await notifier.stop()


async def told_a_test(market: Market, renter: int, url: str) -> int:
    """A channel with something to tell."""
    sealed = SECRET_BOX.seal(url, channel_purpose(ChannelKind.WEBHOOK))
    new = NewChannel(ChannelKind.WEBHOOK, sealed, "", [], "en")
    channel = (await market.do(notifications.add, Role.RENTER, renter, new, NOW)).id
    assert await market.do(notifications.tell_channel, Role.RENTER, renter, channel, NOW)
    return channel


async def tried(market: Market, renter: int, channel_id: int) -> ChannelRow:
    async with asyncio.timeout(8):
        while True:
            (row,) = [
                each for each in await market.see(notifications.channels, Role.RENTER, renter) if each.id == channel_id
            ]
            if row.last_error is not None or row.last_sent_at_ms is not None:
                return row
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("notifier")
async def test_what_fails_oddly_is_recorded_and_not_sent_for_ever(market: Market) -> None:
    channel = await told_a_test(market, 1, "https://odd.example/")
    assert (await tried(market, 1, channel)).last_error == "The request failed"
    # It waits for its next attempt, and not for the end of a claim.
    assert await market.do(notifications.take_due, NOW + 4_999, NOW + 9_000, 16) == []
    assert len(await market.do(notifications.take_due, NOW + 5_000, NOW + 9_000, 16)) == 1


@pytest.mark.usefixtures("notifier")
async def test_a_host_that_is_silent_holds_up_no_other_channel(
    market: Market, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "MOST_CHANNELS", 16)
    # It accepts nobody: who connects waits for the first word of TLS.
    silent = socket.create_server(("127.0.0.1", 0), backlog=32)
    url = f"https://silent.example:{silent.getsockname()[1]}/"
    for _ in range(16):
        await told_a_test(market, 1, url)
    channel = await told_a_test(market, 2, receiver.url)
    async with asyncio.timeout(4):
        assert (await tried(market, 2, channel)).last_error is None
    silent.close()


@pytest.mark.usefixtures("notifier")
async def test_a_channel_has_a_pause_between_two_things(
    market: Market, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack and Telegram refuse whoever says much at once, and what is refused too often is lost."""
    monkeypatch.setattr(notifying, "_APART_SECONDS", 3600.0)
    channel = await told_a_test(market, 1, receiver.url)
    assert (await tried(market, 1, channel)).last_error is None
    assert await market.do(notifications.tell_channel, Role.RENTER, 1, channel, NOW)
    await tried(market, 2, await told_a_test(market, 2, receiver.url))
    (waiting,) = await market.do(notifications.take_due, NOW, NOW + 9_000, 16)
    assert waiting.channel_id == channel
