"""A lean HTTP client, so that the bench measures the server and not itself."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Self


class RestConnection:
    """One keep-alive connection: a request, then its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Return the status and the body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        if status == 304:
            return status, b""
        lowered = head.lower()
        if (at := lowered.find(b"content-length:")) >= 0:
            length = int(lowered[at + 15 : lowered.index(b"\r\n", at)])
            return status, await self._reader.readexactly(length)
        return status, await self._chunks()

    async def _chunks(self) -> bytes:
        body = b""
        while length := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(length + 2))[:-2]
        await self._reader.readuntil(b"\r\n")
        return body

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def request(method: str, path: str, headers: Mapping[str, str], body: Any = None) -> bytes:
    """The bytes of a request, to be sent many times."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content
