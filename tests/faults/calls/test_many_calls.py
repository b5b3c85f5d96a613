"""Two hundred streams over four engines of 64 slots: those without a token yet outlive the daemon that is killed."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from dc1.testing.people import Renter
from dc1.testing.rest import Rest
from dc1.testing.waiting import eventually
from tests.contract.inference.chat import streaming
from tests.faults.engine import MODEL, SILENCE, Answering
from tests.faults.market import Provider, RealMarket

STREAMS = 200
SLOTS = "64"
EARLY = "Two lines about the sea"
REST = "the tide."


@dataclass
class Heard:
    """What a caller has read."""

    asked: str
    text: str = ""
    error: Any = None
    is_done: bool = False


@dataclass
class Callers:
    """All callers, who read on until their answers end."""

    rests: list[Rest]
    renter: Renter
    heard: list[Heard]

    def read(self, at: int) -> None:
        heard = self.heard[at]
        messages = [{"role": "user", "content": heard.asked}]
        with streaming(self.rests[at % len(self.rests)], self.renter.key, model=MODEL, messages=messages) as chunks:
            assert chunks.response.status_code == 200, chunks.response.read()
            for line in chunks:
                if line == "[DONE]":
                    heard.is_done = True
                    return
                event = json.loads(line)
                if "error" in event:
                    heard.error = event["error"]["code"]
                    return
                heard.text += event["choices"][0]["delta"].get("content") or ""


def under_way(providers: list[Provider]) -> list[Answering]:
    return [request for provider in providers for request in provider.engine.requests]


def answer_all(providers: list[Provider]) -> None:
    for request in under_way(providers):
        request.answer(REST)


def test_of_200_streams_those_before_their_first_token_outlive_a_killed_daemon(
    market: RealMarket, renter: Renter
) -> None:
    """6.2."""
    providers = [market.launch_provider(None, "--engine-concurrency", SLOTS) for _ in range(4)]
    for provider in providers:
        market.await_stream(provider)
    heard = [Heard(EARLY if at % 2 else SILENCE) for at in range(STREAMS)]
    with ExitStack() as stack:
        # A client has at most a hundred connections.
        rests = [Rest(market.rest.url) for _ in range(4)]
        for rest in rests:
            stack.callback(rest.close)
        callers = Callers(rests, renter, heard)
        pool = stack.enter_context(ThreadPoolExecutor(STREAMS))
        # However it ends, nobody is left waiting.
        stack.callback(answer_all, providers)
        calls = [pool.submit(callers.read, at) for at in range(STREAMS)]
        eventually(lambda: len(under_way(providers)) == STREAMS, "all calls being under way", 60)
        early = [each for each in heard if each.asked == EARLY]
        eventually(lambda: all(each.text == "So: " for each in early), "the first tokens", 60)
        killed, *others = providers
        # The share in use decided: nobody has more than twice as many as another.
        assert all(30 <= len(provider.engine.requests) <= 64 for provider in providers)
        lost = [request.asked for request in killed.engine.requests]
        killed.daemon.kill()
        expected = STREAMS - len(lost) + lost.count(SILENCE)
        eventually(lambda: len(under_way(others)) == expected, "the silent calls going on elsewhere", 60)
        answer_all(others)
        for call in calls:
            call.result(60)
    silent = [each for each in heard if each.asked == SILENCE]
    assert all(each.is_done and each.text == REST for each in silent)
    broken = [each for each in early if each.error]
    assert [each.error for each in broken] == ["provider_unavailable"] * lost.count(EARLY)
    assert all(each.text == "So: " + REST for each in early if each.is_done)
    assert renter.wallet()["held_halala"] == 0
