"""What stands before several edges: a load balancer that knows of TCP alone."""

import asyncio
import contextlib
from collections.abc import Sequence

from dc1.testing.server import LoopThread

_CHUNK_BYTES = 65_536


class Balancer:
    """Passes each connection on to one of some ports of this machine, in turn, and to the next where nobody listens."""

    def __init__(self, loop: LoopThread, ports: Sequence[int]) -> None:
        self._loop = loop
        self._ports = list(ports)
        self._open = set[asyncio.Task[None]]()
        self._server = loop.run(asyncio.start_server(self._pass_on, "127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def leave_out(self, port: int) -> None:
        """Pass no more connections on to one, which is told to end next."""
        self._ports.remove(port)

    def take_in(self, port: int) -> None:
        """Pass connections on to it again."""
        self._ports.append(port)

    def close(self) -> None:
        """Take no more connections, and end those that are open."""
        self._loop.run(self._end())

    async def _end(self) -> None:
        self._server.close()
        is_open = list(self._open)
        for task in is_open:
            task.cancel()
        await asyncio.gather(*is_open, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        self._ports.append(self._ports.pop(0))
        for port in list(self._ports):
            with contextlib.suppress(OSError):
                answers, asks = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_copied(reader, asks), _copied(answers, writer))
        except (OSError, asyncio.CancelledError):
            # Whoever breaks one side off has broken the other.
            for each in (writer, asks):
                each.transport.abort()
        finally:
            for each in (writer, asks):
                each.close()


async def _copied(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK_BYTES):
        to.write(data)
        await to.drain()
    to.write_eof()
