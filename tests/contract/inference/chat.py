"""Both ends of a /v1 call: what a test sends and says of the answer, and the daemon that gives it."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json, Rest
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, show

CHAT = "/v1/chat/completions"
HELLO: Json = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
ANSWER: Json = {"type": "text", "response": "Hello there", "finish_reason": "length"}
# As many as the bytes of either, which is the most that is believed.
TOKENS: Json = {"prompt_tokens": 2, "completion_tokens": 11}
RETRYABLE = {429, 503, 504}


class Caller:
    """A renter who waits for answers while the test goes on."""

    def __init__(self, renter: Renter, pool: ThreadPoolExecutor) -> None:
        self._renter = renter
        self._pool = pool

    def ask(self, **changes: Any) -> "Future[httpx.Response]":
        """Begin a call; the answer comes when a daemon has given it."""
        return self._pool.submit(self._renter.post, CHAT, {**HELLO, **changes})


def envelope(response: httpx.Response, status: int, code: str) -> Json:
    """The error of an answer that must be this one, in the envelope."""
    assert response.headers["content-type"] == "application/json"
    body = answered(response, status)
    assert set(body) == {"error"}
    return detail(body["error"], status, code)


def detail(error: Json, status: int, code: str) -> Json:
    expected = {"code": code, "status": status, "retryable": status in RETRYABLE}
    assert show(error, *expected) == expected
    for name in ("message", "type"):
        assert isinstance(error[name], str)
        assert error[name]
    return error


def begin(daemon: StreamDaemon, *pieces: str) -> pb.LeaseRef:
    """Take the next call and say so much of the answer."""
    lease: pb.LeaseRef = daemon.accept(daemon.expect("offer")).lease
    for piece in pieces:
        daemon.send_tokens(lease, piece)
    return lease


def say_events(daemon: StreamDaemon, lease: pb.LeaseRef, *events: Json, offset: int = 0, is_last: bool = False) -> None:
    """Pass on what the engine says, as a daemon does that takes calls as bytes."""
    said = [json.dumps(event).encode() for event in events]
    daemon.send(tokens=pb.TokenBatch(lease=lease, events=said, event_offset=offset, is_last=is_last))


def begin_saying(daemon: StreamDaemon, *events: Json) -> pb.LeaseRef:
    """Take the next call and pass on what the engine says first, without which a stream's caller sees no headers."""
    lease = begin(daemon)
    say_events(daemon, lease, *events)
    return lease


def carrying(daemon: StreamDaemon) -> StreamDaemon:
    """Have a daemon take calls as bytes from now on."""
    daemon.state.carries_bodies = True
    daemon.beat()
    return daemon


def finish(daemon: StreamDaemon, lease: pb.LeaseRef, response: str = ANSWER["response"]) -> None:
    """End the answer, whose whole text this is."""
    receipt = daemon.finish(lease, {**ANSWER, "response": response}, **TOKENS)
    assert receipt.verdict == pb.OUTCOME_VERDICT_SETTLED


def serve(daemon: StreamDaemon, *pieces: str) -> None:
    """Answer the next call, piece by piece if there are any."""
    finish(daemon, begin(daemon, *pieces), "".join(pieces) or ANSWER["response"])


class Chunks:
    """The events of a streamed answer."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[str]:
        return (line.removeprefix("data: ") for line in self._lines if line.startswith("data: "))

    def next(self) -> Json:
        chunk: Json = json.loads(next(iter(self)))
        return chunk

    def say(self, text: str) -> None:
        """Read on until so much was said."""
        said = ""
        while said != text:
            said += self.next()["choices"][0]["delta"].get("content", "")
            assert text.startswith(said)


@contextmanager
def streaming(rest: Rest, key: str, **changes: Any) -> Iterator[Chunks]:
    """A streamed call; the block begins with its first event."""
    with rest.stream(CHAT, method="POST", key=key, json={**HELLO, "stream": True, **changes}) as response:
        yield Chunks(response)
