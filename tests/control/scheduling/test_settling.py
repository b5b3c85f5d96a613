"""What a run says while it is settled is shown to nobody, or paid for."""

from collections.abc import Callable
from typing import Any

import pytest

from dc1.control.scheduling import leases
from dc1.control.scheduling.job_feed import Lagged, Subscription, TokenChunk
from dc1.control.scheduling.leases import Lease
from dc1.domain.errors import ApiError
from dc1.domain.jobs.states import Actor
from dc1.storage.engine.database import Database
from tests.control.small_market import Daemon, SmallMarket


def say(market: SmallMarket, lease: Lease, text: str) -> None:
    said = lease.relayed_characters + sum(1 for _ in lease.held_back)
    assert market.control.attempts.tokens(lease.provider_id, lease.job_id, TokenChunk(lease.attempt, text, 1, said))


def during_the_next_write(market: SmallMarket, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen on the loop after a command has begun its write and before it hears of the commit."""
    write = Database.write

    async def with_act(self: Database, work: Any, **options: Any) -> Any:
        monkeypatch.undo()
        act()
        return await write(self, work, **options)

    monkeypatch.setattr(type(market.db), "write", with_act)


async def shown(subscription: Subscription) -> str:
    return "".join(update.text for update in await subscription.next(0.01) if isinstance(update, TokenChunk))


@pytest.fixture
async def lease(market: SmallMarket, daemon: Daemon, renter: int) -> Lease:
    await market.submit(renter)
    return await daemon.accept()


@pytest.fixture
async def daemon(market: SmallMarket) -> Daemon:
    return await market.daemon()


async def test_what_is_said_while_a_call_is_cancelled_is_shown_to_nobody(
    market: SmallMarket, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    with market.control.job_feed.subscribe(lease.row_id, (TokenChunk,), from_start=True) as subscription:
        say(market, lease, "a")
        during_the_next_write(market, monkeypatch, lambda: say(market, lease, "b"))
        await market.control.job_commands.cancel(lease.row_id, Actor.RENTER)
        assert await shown(subscription) == "a"
    assert lease.relayed.tokens == 1


async def test_what_is_said_while_a_run_is_not_ended_after_all_is_shown_then(
    market: SmallMarket, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    with market.control.job_feed.subscribe(lease.row_id, (TokenChunk,), from_start=True) as subscription:
        during_the_next_write(market, monkeypatch, lambda: say(market, lease, "a"))
        await market.control.attempts.enforce_deadline(lease.row_id)
        assert lease.running
        say(market, lease, "b")
        assert await shown(subscription) == "ab"
    assert lease.relayed.tokens == 2


async def test_what_cannot_be_held_back_is_told_as_missing(
    market: SmallMarket, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_MOST_HELD_BACK", 1)
    with (
        market.control.job_feed.subscribe(lease.row_id, (TokenChunk, Lagged), from_start=True) as subscription,
        market.control.leases.settling(lease.row_id),
    ):
        say(market, lease, "a")
        say(market, lease, "b")
        assert [type(update) for update in await subscription.next(0.01)] == [Lagged]
    assert lease.relayed.tokens == 1


async def test_a_command_that_is_refused_holds_nothing_back(market: SmallMarket, lease: Lease) -> None:
    with pytest.raises(ApiError):
        await market.control.job_commands.cancel(lease.row_id + 1, Actor.RENTER)
    say(market, lease, "a")
    assert lease.relayed.tokens == 1
