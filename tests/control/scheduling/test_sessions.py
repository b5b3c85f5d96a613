"""A server that stops tells each daemon when to come to the next one."""

from types import SimpleNamespace
from typing import Any

import pytest

from dc1.control.scheduling.sessions import EndReason, Sessions

FLEET = 500


def held(count: int) -> tuple[Sessions, list[float]]:
    """A server's streams, and when each was told to come again."""
    sessions, told = Sessions(), []

    def end(reason: EndReason, after_seconds: float = 0.0) -> None:
        assert reason is EndReason.DRAINING
        told.append(after_seconds)

    for number in range(count):
        stream: Any = SimpleNamespace(provider_id=number, end=end)
        sessions.open(stream)
    return sessions, told


def test_a_fleet_comes_back_one_by_one_once_the_next_server_is_there() -> None:
    """All of it came at once, before there was one, and was turned away again and again."""
    sessions, told = held(FLEET)
    sessions.send_away(4.0)
    assert min(told) == pytest.approx(4.0 + FLEET / 1_500)
    assert max(told) < min(told) + sessions.return_seconds
    assert len(set(told)) == FLEET


def test_a_larger_fleet_waits_longer_for_its_streams_to_end_and_to_be_known() -> None:
    """Ten thousand streams took longer to end than all that had been told, and most were turned away."""
    first = []
    for count in (FLEET, 10 * FLEET):
        sessions, told = held(count)
        sessions.send_away(4.0)
        first.append(min(told) - 4.0)
    assert first[1] == pytest.approx(10 * first[0])
    assert first[1] > 3.0


def test_a_few_ask_at_once_whether_the_next_server_is_there() -> None:
    sessions, told = held(10)
    sessions.send_away(4.0)
    assert max(told) < 0.1
    assert sessions.return_seconds < 0.1
