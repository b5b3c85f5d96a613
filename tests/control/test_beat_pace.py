"""Daemons beat less often while their server is behind, and as usual again once it is not."""

import time
from collections.abc import Callable

import pytest

from dc1.control.beat_pace import MOST_STRETCH, BeatPace, stretched
from dc1.control.cluster.second_daemons import Asker
from dc1.domain.errors import ApiError
from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.outbox import Outbox
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.small_market import Daemon, SmallMarket

LATE, IN_TIME = 0.1, 0.001


def observed(pace: BeatPace, delay_seconds: float, times: int) -> float:
    for _ in range(times):
        pace.observe(delay_seconds)
    return pace.stretch


def test_a_server_that_is_behind_is_told_less_often_within_bounds() -> None:
    pace = BeatPace()
    assert observed(pace, IN_TIME, 100) == 1
    assert observed(pace, LATE, 8) > 1.5
    assert observed(pace, LATE, 1000) == MOST_STRETCH


def test_a_server_that_has_time_again_hears_as_much_as_before() -> None:
    pace = BeatPace()
    observed(pace, LATE, 100)
    # Slowly: what made it late may come back with the beats.
    assert observed(pace, IN_TIME, 20) > MOST_STRETCH / 2
    assert observed(pace, IN_TIME, 200) == 1


def test_a_machine_that_stood_still_once_is_not_behind() -> None:
    pace = BeatPace()
    observed(pace, IN_TIME, 100)
    assert observed(pace, 60, 1) < 1.2
    assert observed(pace, IN_TIME, 5) < 2


def test_no_stream_is_silent_for_as_long_as_the_edge_ends_it_for() -> None:
    assert [stretched(seconds, MOST_STRETCH) for seconds in (0.1, 10, 25, 70)] == [0.1 * MOST_STRETCH, 30, 60, 70]


class Told(Outbox):
    """Keeps what the daemon is told of its beats."""

    def __init__(self) -> None:
        super().__init__()
        self.intervals: list[float] = []

    def send(self, message: pb.ConnectResponse) -> None:
        if message.HasField("welcome"):
            self.intervals.append(message.welcome.desired.beat_interval_seconds)

    def send_desired(self, make: Callable[[], pb.Desired]) -> None:
        self.intervals.append(make().beat_interval_seconds)


async def test_daemons_are_told_and_their_silence_is_judged_by_what_they_were_told(market: SmallMarket) -> None:
    daemon = await market.daemon()
    plane, told = market.control, Told()
    messages = DaemonMessages(plane, daemon.provider, told, ToldImages(plane.catalog, told), MessageBudget())
    await messages.hello(pb.Hello())
    plane.sessions.pace.stretch = 2.5
    await messages.take(pb.ConnectRequest(beat=pb.Beat(sequence=1)))
    # Asked for once, at once; those after it come as before.
    messages.ask_for_beat()
    assert told.intervals == [10, 25, 0.1]
    assert messages.interval_seconds == 25


async def test_how_long_the_next_beat_takes_is_known_before_the_daemon_is_told(market: SmallMarket) -> None:
    """What is sent waits for its turn, and who reads the stream does not."""
    daemon = await market.daemon()
    plane, outbox = market.control, Outbox()
    messages = DaemonMessages(plane, daemon.provider, outbox, ToldImages(plane.catalog, outbox), MessageBudget())
    await messages.hello(pb.Hello())
    plane.sessions.pace.stretch = 2.5
    await messages.take(pb.ConnectRequest(beat=pb.Beat(sequence=1)))
    assert messages.interval_seconds == 25
    # Nor does it become longer behind the reader's back.
    plane.sessions.pace.stretch = 3
    told = [(await anext(outbox)).welcome.desired, (await anext(outbox)).desired]
    assert [desired.beat_interval_seconds for desired in told] == [10, 25]


async def test_a_daemon_that_beats_less_often_keeps_its_stream(
    market: SmallMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two beats are not missed yet when they come every 30 s."""
    daemon = await market.daemon()
    heard_at = time.monotonic() - 25
    monkeypatch.setattr(Daemon, "beat_interval_seconds", 30)
    monkeypatch.setattr(Daemon, "heard_at", property(lambda _: heard_at))

    def answer(_: Daemon) -> None:
        monkeypatch.setattr(Daemon, "heard_at", property(lambda _: time.monotonic()))

    monkeypatch.setattr(Daemon, "ask_for_beat", answer)
    with pytest.raises(ApiError, match="Another daemon"):
        await market.control.second_daemons.admit(daemon.provider, Asker("other"))
