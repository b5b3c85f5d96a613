"""How often a loop turns for what gRPC's thread says of many things at once."""

import asyncio
import socket
import threading
from contextlib import suppress
from functools import partial

import grpc
import pytest

from dc1.quiet_loop import new_loop
from dc1.testing.waiting import at_once

_DONE = 100


class _Poller:
    """Reads as gRPC's does: a byte, and everything that is done."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self.reads = 0

    def _handle_events(self, loop: asyncio.AbstractEventLoop) -> None:
        self._source.recv(1)
        self.reads += 1

    def listen(self) -> None:
        """Read on the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._source, partial(self._handle_events, loop))


async def _reads_of_what_is_done() -> int:
    source, thread = socket.socketpair()
    with source, thread:
        source.setblocking(False)
        poller = _Poller(source)
        poller.listen()
        for _ in range(_DONE):
            thread.send(b"1")
        for _ in range(2 * _DONE):
            await asyncio.sleep(0)
        asyncio.get_running_loop().remove_reader(source)
    return poller.reads


@pytest.mark.parametrize("usual", [False, True])
def test_what_was_done_together_wakes_the_loop_once(usual: bool) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop if usual else new_loop) as runner:
        reads = runner.run(_reads_of_what_is_done())
    assert reads == (_DONE if usual else 1)


class _Shared(socket.socket):
    """One whose readers have all counted the bytes before any takes what it counted."""

    both = threading.Barrier(2)

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags:
            with suppress(threading.BrokenBarrierError):
                self.both.wait(0.2)
        return super().recv(size, flags)


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_what_was_done_is_read_where_two_loops_count_the_same() -> None:
    """Each took all but one of two bytes, and nobody what was done: it stayed until something else was."""
    source, thread = socket.socketpair()
    with _Shared(fileno=source.detach()) as shared, thread:
        shared.setblocking(False)
        poller = _Poller(shared)
        loops = [new_loop(), new_loop()]
        for loop in loops:
            loop.add_reader(shared, partial(poller._handle_events, loop))
        thread.send(b"11")
        at_once([partial(_turn, loop) for loop in loops])
        for loop in loops:
            loop.remove_reader(shared)
            loop.close()
    assert poller.reads == 1


async def _names_of_readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    named: list[str] = []
    add = asyncio.SelectorEventLoop.add_reader

    def note(self: asyncio.SelectorEventLoop, fd: int, callback: partial[None], *args: object) -> None:
        named.append(getattr(getattr(callback, "func", callback), "__name__", ""))
        add(self, fd, callback, *args)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", note)
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await server.stop(0)
    return named


def test_grpc_is_read_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    # Should it name its reader otherwise one day, everything works as before, and nothing would say so.
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(_names_of_readers(monkeypatch)) == ["quietly"]
