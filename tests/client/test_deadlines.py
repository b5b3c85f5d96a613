"""How long a call may take is its caller's to say, whatever the other side does."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from dc1.client import AsyncClient, Client, ConnectionBrokenError, WaitTimeoutError, backends

JOB = b'{"job": {"job_id": "job-1", "status": "running"}}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(JOB)
SECONDS = 1.5
# Where a part of a call has all of it once more, it is 1.8 times.
LATEST = 1.65 * SECONDS


@contextmanager
def answering_once(then: bytes | None, piece: int = 0) -> Iterator[str]:
    """A marketplace that tells of a job, and to what comes later says `then` after most of that time and no more.

    With None nobody listens any more. With a `piece` it says as many bytes of it at a time, again and again.
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
                    ended.wait(0 if piece else SECONDS * 0.8)
                    for start in range(0, len(then), piece or len(then) or 1):
                        with suppress(OSError):
                            first.sendall(then[start : start + (piece or len(then))])
                        if piece and ended.wait(SECONDS / 8):
                            break
                    ended.wait(10)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield url
        finally:
            ended.set()
            thread.join()


THEN: dict[str, tuple[bytes | None, int]] = {
    "nobody listens": (None, 0),
    "silence": (b"", 0),
    "half an answer": (HEAD, 0),
    # Never as long without a word as a call may take.
    "a head that trickles": (HEAD + JOB, 1),
    "a body that trickles": (HEAD.replace(b"%d" % len(JOB), b"100000") + JOB * 40, len(HEAD)),
}
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


async def standstill(until: asyncio.Event) -> float:
    """For how many seconds a busy machine left this process without a turn."""
    late, last = 0.0, time.monotonic()
    while not until.is_set():
        await asyncio.sleep(0.01)
        now = time.monotonic()
        # Less is what any timer is late by where others compute as well.
        late += now - last if now - last > 0.1 else 0
        last = now
    return late


async def test_nothing_takes_longer_than_its_caller_said() -> None:
    """All of them at a time: each takes as long as it may."""
    over = asyncio.Event()
    standing = asyncio.create_task(standstill(over))

    async def after(then: tuple[bytes | None, int], ask: Ask) -> float:
        with answering_once(*then) as url:
            return await ask(url)

    async def in_a_thread(ask: Callable[[str], float], url: str) -> float:
        return await asyncio.to_thread(ask, url)

    asks: dict[str, Ask] = {each.__name__: each for each in (waits, reads, posts)}
    for each in (waits_without_a_loop, reads_without_a_loop, posts_without_a_loop):
        asks[each.__name__] = partial(in_a_thread, each)
    took = await asyncio.gather(*(after(then, ask) for then in THEN.values() for ask in asks.values()))
    over.set()
    latest = LATEST + await standing

    names = [f"{name}: {case}" for case in THEN for name in asks]
    late = {name: seconds for name, seconds in zip(names, took, strict=True) if seconds > latest}
    assert not late, latest


def test_an_address_that_nobody_answers_at_leaves_time_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a host with two, where the machine's way to one of them leads nowhere."""
    host, dead, alive = "market.example.sa", "127.1.2.3", "127.1.2.4"
    with socket.create_server((alive, 0)) as listening, socket.socket() as deaf, socket.socket() as only:
        port = listening.getsockname()[1]
        # It listens and takes one, which is how a machine that is gone looks to the next.
        deaf.bind((dead, port))
        deaf.listen(0)
        only.connect((dead, port))
        resolve = socket.getaddrinfo
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in (dead, alive)]
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda name, *rest, **more: found if name == host else resolve(name, *rest, **more)
        )
        waited: list[float] = []
        connect = socket.create_connection

        def connecting(address: tuple[str, int], timeout: float, **more: Any) -> socket.socket:
            waited.append(timeout)
            return connect(address, timeout, **more)

        monkeypatch.setattr(socket, "create_connection", connecting)
        stream = backends.Backend().connect_tcp(host, port, timeout=2.0)

        assert stream.get_extra_info("server_addr") == (alive, port)
        # Half of it for each of two, and no more together: how long a busy machine took for it says nothing.
        assert waited[0] <= 1.0
        assert sum(waited) < 2.01
        stream.close()
