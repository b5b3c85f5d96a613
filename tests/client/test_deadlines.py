"""How long a call may take is its caller's to say, whatever the other side does."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from dc1.client import AsyncClient, Client, ConnectionBrokenError, WaitTimeoutError

JOB = b'{"job": {"job_id": "job-1", "status": "running"}}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(JOB)
SECONDS = 1.5
# Beside that time itself, on a machine that is busy; where a part of a call has all of it once more, it is 1.8 times.
LATEST = 1.65 * SECONDS


@contextmanager
def answering_once(then: bytes | None) -> Iterator[str]:
    """A marketplace that tells of a job, and to what comes later says `then` after most of that time and no more.

    With None nobody listens any more.
    """
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def answer() -> None:
            with listening.accept()[0] as first:
                first.recv(65536)
                if then is None:
                    listening.close()
                first.sendall(HEAD + JOB)
                # The next call comes on this connection, and is closed on or left without an answer.
                first.settimeout(10)
                if then is not None and first.recv(65536):
                    ended.wait(SECONDS * 0.8)
                    first.sendall(then)
                    ended.wait(10)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield url
        finally:
            ended.set()
            thread.join()


THEN = {"nobody listens": None, "silence": b"", "half an answer": HEAD}
Ask = Callable[[str], Awaitable[float]]


async def waits(url: str) -> float:
    async with AsyncClient(url, "dc1-renter-x") as client:
        job = await client.jobs.get("job-1")
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError, match="running"):
            await job.wait(timeout_seconds=SECONDS)
        return time.monotonic() - began


async def reads(url: str) -> float:
    async with AsyncClient(url, "dc1-renter-x", timeout_seconds=SECONDS) as client:
        await client.jobs.get("job-1")
        began = time.monotonic()
        with pytest.raises(ConnectionBrokenError):
            await client.renter.balance()
        return time.monotonic() - began


async def posts(url: str) -> float:
    async with AsyncClient(url, "dc1-renter-x") as client:
        await client.jobs.get("job-1")
        began = time.monotonic()
        with pytest.raises(ConnectionBrokenError):
            await client.post("/jobs/estimate", {}, timeout_seconds=SECONDS)
        return time.monotonic() - began


def waits_without_a_loop(url: str) -> float:
    with Client(url, "dc1-renter-x") as client:
        job = client.jobs.get("job-1")
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError, match="running"):
            job.wait(timeout_seconds=SECONDS)
        return time.monotonic() - began


def reads_without_a_loop(url: str) -> float:
    with Client(url, "dc1-renter-x", timeout_seconds=SECONDS) as client:
        client.jobs.get("job-1")
        began = time.monotonic()
        with pytest.raises(ConnectionBrokenError):
            client.renter.balance()
        return time.monotonic() - began


def posts_without_a_loop(url: str) -> float:
    with Client(url, "dc1-renter-x") as client:
        client.jobs.get("job-1")
        began = time.monotonic()
        with pytest.raises(ConnectionBrokenError):
            client.post("/jobs/estimate", {}, timeout_seconds=SECONDS)
        return time.monotonic() - began


async def test_nothing_takes_longer_than_its_caller_said() -> None:
    """All of them at a time: each takes as long as it may."""

    async def after(then: bytes | None, ask: Ask) -> float:
        with answering_once(then) as url:
            return await ask(url)

    async def in_a_thread(ask: Callable[[str], float], url: str) -> float:
        return await asyncio.to_thread(ask, url)

    asks: dict[str, Ask] = {each.__name__: each for each in (waits, reads, posts)}
    for each in (waits_without_a_loop, reads_without_a_loop, posts_without_a_loop):
        asks[each.__name__] = partial(in_a_thread, each)
    took = await asyncio.gather(*(after(then, ask) for then in THEN.values() for ask in asks.values()))

    names = [f"{name}: {case}" for case in THEN for name in asks]
    late = {name: seconds for name, seconds in zip(names, took, strict=True) if seconds > LATEST}
    assert not late
