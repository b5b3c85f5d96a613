"""Streams whose reader leaves while it is being written to: the server does not think for a moment that it is there."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from dc1.control.scheduling.job_feed import MOST_OF_OWNER
from dc1.domain.access.roles import Role
from dc1.services.admin.providers import SupervisedProviderCalls
from dc1.services.api.call import Call, Principal, enter
from dc1.services.daemons import stream_log
from dc1.services.providers.providers import ProviderCalls
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1.live_pb2 import StreamFleetRequest
from tests.control.small_market import SmallMarket


def parts_of(market: SmallMarket) -> Any:
    """Those that streams use, of all that a server is made of."""
    return SimpleNamespace(plane=market.control, idempotent=None)


def come_as(principal: Principal) -> None:
    enter(Call("/dcp.v1.Service/Method", principal, "1", "203.0.113.7", is_rest=False, metadata={}))


async def says_hello() -> AsyncIterator[pb.ConnectRequest]:
    """A daemon that comes and then has nothing more to say."""
    yield pb.ConnectRequest(hello=pb.Hello(instance_id="one", state=pb.DaemonState()))
    await asyncio.Event().wait()


async def test_a_daemon_that_is_gone_when_it_is_written_to_has_no_stream(market: SmallMarket) -> None:
    """Its provider would be offered jobs, and count as online, until Python happens to clear up."""
    provider = await market.provider()
    come_as(Principal(Role.PROVIDER, provider.id))
    stream: Any = ProviderCalls(parts_of(market)).Connect(says_hello(), None)
    assert (await anext(stream)).WhichOneof("message") in ("welcome", "bundle")
    assert len(market.control.sessions) == 1
    await stream.aclose()
    assert len(market.control.sessions) == 0
    assert not provider.presence.stream_open


async def test_who_went_last_is_told_before_the_process_ends(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that stops sends its whole fleet away at once, and does not wait for the window of its log."""
    monkeypatch.setattr(stream_log, "_MOST_LINES", 0)
    provider = await market.provider()
    come_as(Principal(Role.PROVIDER, provider.id))
    stream: Any = ProviderCalls(parts_of(market)).Connect(says_hello(), None)
    await anext(stream)
    market.control.sessions.take_no_more()
    with capture_logs() as lines:
        await stream.aclose()
    assert [(line["event"], line["provider_ids"]) for line in lines if "provider_ids" in line] == [
        ("streams_opened", [provider.id]),
        ("streams_closed", [provider.id]),
    ]


async def test_a_stream_whose_end_is_cut_short_has_ended_all_the_same(market: SmallMarket) -> None:
    """Who is cancelled once more while its last message is waited for may leave nothing behind."""
    provider = await market.provider()
    come_as(Principal(Role.PROVIDER, provider.id))
    stream: Any = ProviderCalls(parts_of(market)).Connect(says_hello(), None)
    welcomed = asyncio.Event()

    async def forward() -> None:
        async with aclosing(stream):
            async for _ in stream:
                welcomed.set()

    call = asyncio.create_task(forward())
    await welcomed.wait()
    call.cancel()
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert len(market.control.sessions) == 0
    assert not provider.presence.stream_open


async def test_what_a_daemon_said_does_not_stay_as_long_as_its_stream(market: SmallMarket) -> None:
    """Ten thousand streams would each keep its last two messages, with all that they report."""
    provider = await market.provider()
    come_as(Principal(Role.PROVIDER, provider.id))
    said = [
        pb.ConnectRequest(hello=pb.Hello(instance_id="one", state=pb.DaemonState())),
        pb.ConnectRequest(beat=pb.Beat(sequence=1, state=pb.DaemonState())),
    ]
    states = said[0].hello.state, said[1].beat.state
    before = [sys.getrefcount(each) for each in (*said, *states)]

    async def speak() -> AsyncIterator[pb.ConnectRequest]:
        yield said[0]
        yield said[1]
        await asyncio.Event().wait()

    stream: Any = ProviderCalls(parts_of(market)).Connect(speak(), None)
    async with aclosing(stream):
        sequence = 0
        while sequence < 1:
            message = await anext(stream)
            sequence = message.desired.sequence
        assert [sys.getrefcount(each) for each in (*said, *states)] == before


async def test_a_daemon_in_step_is_welcomed_without_a_task(market: SmallMarket) -> None:
    """Of its own: a fleet that comes back takes the loop as many turns as each of them."""
    provider = await market.provider()
    come_as(Principal(Role.PROVIDER, provider.id))
    stream: Any = ProviderCalls(parts_of(market)).Connect(says_hello(), None)
    loop, made = asyncio.get_running_loop(), 0
    create_task = loop.create_task

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        made += 1
        return create_task(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "create_task", counted)
        await anext(stream)
    await stream.aclose()
    assert made == (1 if not market.db.is_shared else made), "the reader, which has not begun yet"


async def test_readers_that_are_gone_when_they_are_written_to_are_not_counted(market: SmallMarket) -> None:
    """An account may have so many of them and no more."""
    come_as(Principal(Role.ADMIN, fingerprint="a"))
    calls = SupervisedProviderCalls(parts_of(market))
    for _ in range(MOST_OF_OWNER + 1):
        stream: Any = calls.StreamFleet(StreamFleetRequest(), None)
        await anext(stream)
        await stream.aclose()
