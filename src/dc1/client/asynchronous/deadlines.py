"""Deadlines that hold for a call as a whole, however its answer comes in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from dc1.client.backends import AsyncBackend
from dc1.client.time_left import bounded

# What is written at a time, before it is asked anew how much time is left.
_PIECE_BYTES = 65536


class AsyncBoundedTransport(httpx.AsyncHTTPTransport):
    """Connections whose timeouts are no longer than a call has time left.

    The HTTP library's own are for each piece of an answer: one that trickles in would never be late.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The pool takes it when it is made, which the transport above does without asking for one.
        self._pool._network_backend = AsyncBoundedBackend()


class AsyncBoundedBackend(AsyncBackend):
    """The network, with the time that is left."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host."""
        left = bounded(timeout, httpcore.ConnectTimeout)
        stream = await super().connect_tcp(host, port, left, local_address, socket_options)
        return AsyncBoundedStream(stream)


class AsyncBoundedStream(httpcore.AsyncNetworkStream):
    """A connection whose every step has the time that is left."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come."""
        return await self._stream.read(max_bytes, bounded(timeout, httpcore.ReadTimeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send a part of a request."""
        for start in range(0, len(buffer), _PIECE_BYTES):
            piece = buffer[start : start + _PIECE_BYTES]
            await self._stream.write(piece, bounded(timeout, httpcore.WriteTimeout))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Go on encrypted."""
        left = bounded(timeout, httpcore.ConnectTimeout)
        return AsyncBoundedStream(await self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        return self._stream.get_extra_info(info)
