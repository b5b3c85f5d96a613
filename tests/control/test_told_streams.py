"""Daemons say more at a time while their server tells many callers, and each token at once when it does not."""

from contextlib import ExitStack

import pytest

from dc1.control.told_streams import ToldStreams
from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.outbox import Outbox
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.small_market import SmallMarket


def test_few_streams_have_each_token_at_once_and_many_share_what_a_server_tells() -> None:
    told, seconds = ToldStreams(), []
    with ExitStack() as streams:
        for _ in range(400):
            streams.enter_context(told.one())
            seconds.append(told.gather_seconds)
    assert not any(seconds[:32])
    assert seconds[32] == pytest.approx(0.033)
    assert seconds[63] == pytest.approx(0.064)
    assert seconds == sorted(seconds)
    assert seconds[-1] == 0.25
    assert told.gather_seconds == 0, "as soon as they have ended"


async def test_daemons_are_told_with_each_beat(market: SmallMarket) -> None:
    daemon = await market.daemon()
    plane, outbox = market.control, Outbox()
    messages = DaemonMessages(plane, daemon.provider, outbox, ToldImages(plane.catalog, outbox), MessageBudget())
    with ExitStack() as streams:
        for _ in range(64):
            streams.enter_context(plane.sessions.told_streams.one())
        await messages.hello(pb.Hello())
        assert (await anext(outbox)).welcome.desired.gather_seconds == pytest.approx(0.064)
    await messages.take(pb.ConnectRequest(beat=pb.Beat(sequence=1)))
    assert (await anext(outbox)).desired.gather_seconds == 0
