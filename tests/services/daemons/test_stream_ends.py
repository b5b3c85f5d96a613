"""A daemon that says nothing is given up, by one timer however often it spoke before."""

import asyncio
from unittest.mock import Mock

import pytest

from dc1.services.daemons.stream_ends import Silence


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


async def test_who_is_being_followed_is_not_silent() -> None:
    ended = asyncio.Event()
    silence = Silence(ended.set)
    silence.begin(0.001)
    silence.heard()
    other = Silence(ended.set)
    other.begin(0.01)
    await asyncio.wait_for(ended.wait(), 5)
    assert (silence.seconds, other.seconds) == (0, 0.01)
