"""One connection to the engine serves call after call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.domain.jobs.states import JobType
from tests.daemon.runners.sinks import RecordingSink

MODELS = b'HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n{"data":[{"id": "m"}]}'
CHUNKS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n',
    b"data: [DONE]\n\n",
)


class KeepingServer:
    """An engine that keeps its connections open, and ends the body of an answer or does not.

    With `calls_a_connection` it closes one at the next call on it, without an answer but with `late` words of the last
    one. It answers once it has so many
    calls `at_once`.
    """

    def __init__(
        self, *, ends: bool = True, calls_a_connection: int | None = None, at_once: int = 1, late: bytes = b""
    ) -> None:
        self._expected = at_once
        self._all_there = asyncio.Event()
        self.connections = 0
        self.url = ""
        self._ends = ends
        self._most_calls = calls_a_connection
        self._late = late
        self._serving: list[asyncio.Task[Any]] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["KeepingServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self
        # Its clients have left; what serves them ends by that.
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.append(task)
        calls = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                calls += head.startswith(b"POST")
                if self._most_calls is not None and calls > self._most_calls:
                    writer.write(self._late)
                    return
                if head.startswith(b"POST"):
                    await self._gather()
                writer.write(MODELS if b"/v1/models" in head else self._answer(head))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()

    async def _gather(self) -> None:
        self._expected -= 1
        if self._expected <= 0:
            self._all_there.set()
        await self._all_there.wait()

    def _answer(self, head: bytes) -> bytes:
        if not head.startswith(b"POST /v1/chat/completions "):
            return b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n"
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in CHUNKS) + b"0\r\n\r\n" * self._ends
        return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize(("ends", "connections"), [(True, 1), (False, 4)])
async def test_a_connection_serves_the_next_call_if_the_answer_before_has_ended(ends: bool, connections: int) -> None:
    work = Work("job-1", 1, JobType.VLLM_SERVE, 30, model="m", params={"prompt": "Hi"})
    async with KeepingServer(ends=ends).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        await runner.probe()
        for _ in range(4):
            assert (await runner.run(work, RecordingSink())).completion_tokens == 1
        await runner.aclose()
    assert server.connections == connections


@pytest.mark.parametrize("late", [b"", b'{"error": "A body behind a 204."}\r\n\r\n'])
async def test_a_call_on_a_connection_that_the_engine_is_closing_is_made_again(late: bytes) -> None:
    """llama.cpp ends one at times after an answer, which is seen only once the next call is on its way.

    What comes late of the answer before, where it could have no more, is no answer to that call either.
    """
    work = Work("job-1", 1, JobType.VLLM_SERVE, 30, model="m", params={"prompt": "Hi"})
    async with KeepingServer(calls_a_connection=1, late=late).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        for _ in range(3):
            assert (await runner.run(work, RecordingSink())).completion_tokens == 1
        await runner.aclose()
    assert server.connections == 3


async def test_it_is_made_again_on_a_new_connection_where_the_engine_is_closing_several() -> None:
    """Those of calls that were answered at once are closed at once: the next kept one is no better than the first."""
    work = Work("job-1", 1, JobType.VLLM_SERVE, 30, model="m", params={"prompt": "Hi"})
    async with KeepingServer(calls_a_connection=1, at_once=3).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        await asyncio.gather(*(runner.run(work, RecordingSink()) for _ in range(3)))
        assert (await runner.run(work, RecordingSink())).completion_tokens == 1
        await runner.aclose()
    assert server.connections == 4


async def test_an_engine_that_answers_no_call_is_asked_twice() -> None:
    work = Work("job-1", 1, JobType.VLLM_SERVE, 30, model="m", params={"prompt": "Hi"})
    async with KeepingServer(calls_a_connection=0).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        with pytest.raises(RunFailed, match="connection failed") as failure:
            await runner.run(work, RecordingSink())
        await runner.aclose()
    assert failure.value.transient
    assert server.connections == 2


async def test_an_engine_is_called_as_often_at_once_as_there_are_calls() -> None:
    """A pool of connections with a bound of its own, which most clients have at 100, would hold the others up."""
    calls = 130
    async with KeepingServer(at_once=calls).serving() as server:
        runner = EngineRunner(OpenAIEngine(server.url))
        work = [Work(f"job-{at}", 1, JobType.VLLM_SERVE, 30, model="m", params={"prompt": "Hi"}) for at in range(calls)]
        await asyncio.gather(*(runner.run(each, RecordingSink()) for each in work))
        await runner.aclose()
    assert server.connections >= calls
