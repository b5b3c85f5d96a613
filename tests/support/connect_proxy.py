"""A proxy of a house: it opens tunnels (CONNECT), passes on plain requests, and knows names nobody else does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

HOUSE = ".example.test"
"""Hosts of this domain are this machine, for who asks through the proxy."""


class ConnectProxy:
    """What it was asked for, and what it lets through."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Method and target of each request."""
        self.credentials: list[str | None] = []
        self.refuses = False
        self.delay_seconds = 0.0
        """What each piece that passes takes, either way."""
        self.refused = asyncio.Event()
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["ConnectProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """End every tunnel."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Cut, which the library would log as an error of ours.
        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(writer):
            await self._pass_on(reader, writer)
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        self.asked.append(f"{method} {target}")
        self.credentials.append(headers.get("Proxy-Authorization", headers.get("proxy-authorization")))
        if self.refuses:
            self.refused.set()
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        # A plain request names its whole URL.
        place = target if method == "CONNECT" else target.split("/")[2]
        host, _, port = place.rpartition(":")
        assert host.endswith(HOUSE), f"a proxy elsewhere does not reach {host}"
        onward, back = await asyncio.open_connection("127.0.0.1", int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            # The server is asked for the path alone, as nobody's proxy.
            back.write(head.replace(f"http://{place}".encode(), b"", 1))
        with contextlib.closing(back):
            await asyncio.gather(self._copy(reader, back), self._copy(onward, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65536):
                await asyncio.sleep(self.delay_seconds)
                target.write(piece)
                await target.drain()
        target.close()
