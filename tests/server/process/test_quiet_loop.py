"""How often a loop turns for what gRPC's thread says of many things at once."""

import asyncio
import socket
from functools import partial

import grpc
import pytest

from dc1.quiet_loop import new_loop

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
