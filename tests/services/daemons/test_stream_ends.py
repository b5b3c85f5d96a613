"""A daemon that says nothing is given up, by one timer however often it spoke before."""

import asyncio
import time
from unittest.mock import Mock

import pytest

from dc1.services.daemons.stream_ends import Silence


def stand_still() -> None:
    """Do nothing for a while, as a machine that is suspended, or whose processor others want."""
    time.sleep(1.0)


async def test_a_stream_has_one_timer_however_often_its_daemon_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    made = Mock(wraps=loop.call_at)
    monkeypatch.setattr(loop, "call_at", made)
    silence = Silence(lambda: None)
    for _ in range(1_000):
        silence.begin(30)
        silence.heard()
    silence.end()
    assert made.call_count == 1


async def test_silence_is_noticed_when_its_time_is_over_and_not_before() -> None:
    ended = asyncio.Event()
    silence = Silence(ended.set)
    silence.begin(0.02)
    silence.heard()
    began = asyncio.get_running_loop().time()
    silence.begin(0.05)
    await asyncio.wait_for(ended.wait(), 5)
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert silence.seconds == 0.05


async def test_patience_that_becomes_shorter_is_not_waited_out_as_it_was() -> None:
    ended = asyncio.Event()
    silence = Silence(ended.set)
    silence.begin(3600)
    silence.begin(0.01)
    await asyncio.wait_for(ended.wait(), 5)
    assert silence.seconds == 0.01


async def test_time_in_which_the_server_stood_still_is_no_silence() -> None:
    """A server that went on after half a minute cut off its fleet, with all that this had said meanwhile."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    silence, later = Silence(ended.set), Silence(ended.set)
    # Longer than a busy machine takes for a few turns.
    silence.begin(0.4)
    # Its patience ends shortly before the server goes on, and its one timer was due long before.
    later.begin(0.4)
    later.begin(0.9)
    stand_still()
    # What has come meanwhile is read a few turns later: the stream's reader is behind the timer.
    for _ in range(5):
        await asyncio.sleep(0)
    assert not ended.is_set()
    later.end()
    silence.heard()
    began = loop.time()
    silence.begin(0.05)
    # Who says nothing afterwards either is silent all the same.
    await asyncio.wait_for(ended.wait(), 5)
    assert loop.time() - began >= 0.05


async def test_who_is_being_followed_is_not_silent() -> None:
    ended = asyncio.Event()
    silence = Silence(ended.set)
    silence.begin(0.001)
    silence.heard()
    other = Silence(ended.set)
    other.begin(0.01)
    await asyncio.wait_for(ended.wait(), 5)
    assert (silence.seconds, other.seconds) == (0, 0.01)
