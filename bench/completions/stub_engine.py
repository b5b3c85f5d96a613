"""An engine that makes a token at a set pace for any number of callers, and costs next to nothing."""

import asyncio
import json
import time
from collections import deque
from multiprocessing.connection import Connection

MODEL = "bench/stub"
TOKENS = 16
TOKEN_SECONDS = 0.01

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"
_MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()


def _event(choices: list[object], **more: object) -> bytes:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}
    data = f"data: {json.dumps(chunk | more)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


_FIRST = _event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
_LAST = (
    _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    + _event([], usage={"prompt_tokens": 8, "completion_tokens": TOKENS, "total_tokens": 8 + TOKENS})
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


def _token() -> bytes:
    # When it was made, by the clock that all processes of a machine share: whoever reads it knows how long it took.
    made = f"{time.monotonic_ns()} "
    return _event([{"index": 0, "delta": {"content": made}, "finish_reason": None}])


class _Answers(asyncio.Protocol):
    """One kept connection: its requests in their order."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._asked: deque[None] = deque()
        self._is_answering = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._received) < end + 4 + length:
                return
            del self._received[: end + 4 + length]
            if head.startswith(b"post"):
                self._asked.append(None)
                self._answer_next()
            else:
                self._say_models(head)

    def _say_models(self, head: bytes) -> None:
        status = b"200 OK" if b"/models" in head.split(b"\r\n", 1)[0] else b"404 Not Found"
        body = _MODELS if status == b"200 OK" else b"{}"
        self._transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)
        )

    def _answer_next(self) -> None:
        if self._asked and not self._is_answering:
            self._asked.popleft()
            self._is_answering = True
            self._transport.write(_HEAD % b"text/event-stream" + b"transfer-encoding: chunked\r\n\r\n" + _FIRST)
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + TOKEN_SECONDS, self._make, loop.time() + TOKEN_SECONDS, 1)

    def _make(self, due: float, number: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_token())
        if number == TOKENS:
            self._transport.write(_LAST)
            self._is_answering = False
            self._answer_next()
        else:
            # By when it was due and not by when it came, or a late token would make all that follow late.
            loop = asyncio.get_running_loop()
            loop.call_at(due + TOKEN_SECONDS, self._make, due + TOKEN_SECONDS, number + 1)


def run_engine(pipe: Connection) -> None:
    """Serve until the bench closes the pipe; the first thing said is the port."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answers, "127.0.0.1", 0, backlog=512)
    pipe.send(server.sockets[0].getsockname()[1])
    gone = asyncio.Event()
    loop.add_reader(pipe.fileno(), gone.set)
    await gone.wait()
    loop.remove_reader(pipe.fileno())
    server.close()
