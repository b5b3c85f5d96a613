"""Who holds too many streams sends some elsewhere, in pieces, and gives up where they come back."""

from collections.abc import Collection
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dc1.control.cluster.stream_spread import StreamSpread, to_send_away
from dc1.control.scheduling.leases import Leases
from dc1.control.scheduling.sessions import EndReason, Sessions


@dataclass
class Market:
    """A server's streams and what it knows of those of another one."""

    elsewhere: int = 0
    sessions: Sessions = field(default_factory=Sessions)
    leases: Leases = field(default_factory=Leases)
    sent: list[int] = field(default_factory=list)

    def hold(self, count: int) -> None:
        for number in range(count):
            if self.sessions.get(number) is None:
                self.sessions.open(self._stream(number))

    def _stream(self, number: int) -> Any:
        def end(reason: EndReason) -> None:
            assert reason is EndReason.DRAINING
            self.sent.append(number)
            self.sessions.close(stream)

        stream: Any = SimpleNamespace(provider_id=number, end=end)
        return stream

    def streams_at(self, _: Collection[str]) -> Collection[int]:
        return [self.elsewhere]

    def spread(self) -> StreamSpread:
        here: Any = self
        replicas: Any = SimpleNamespace(others={"other"})
        return StreamSpread(here, self.sessions, self.leases, replicas)


async def test_a_server_that_was_started_anew_comes_to_hold_its_share() -> None:
    market = Market()
    market.hold(200)
    spread = market.spread()
    for _ in range(30):
        await spread.look()
        market.elsewhere = 200 - len(market.sessions)
    assert 60 <= market.elsewhere <= 100
    assert len(market.sent) == market.elsewhere
    assert max(market.sent.count(each) for each in market.sent) == 1


async def test_who_has_nowhere_to_send_them_stops_trying() -> None:
    """As where the other one is behind another edge, or does not take calls."""
    market = Market()
    spread = market.spread()
    for _ in range(100):
        market.hold(200)
        await spread.look()
    assert 20 <= len(market.sent) <= 7 * 20


@given(st.integers(0, 20_000), st.lists(st.integers(0, 20_000), min_size=1, max_size=8))
def test_nobody_sends_away_more_than_it_has_too_many(mine: int, others: list[int]) -> None:
    number = to_send_away(mine, others)
    share = (mine + sum(others)) / (1 + len(others))
    assert number >= 0
    assert number == 0 or mine - number >= share - 1
    assert number == 0 or mine > share
