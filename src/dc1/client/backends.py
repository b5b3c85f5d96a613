"""How connections come about, with an event loop and without."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

import httpcore

AsyncBackend = httpcore.AnyIOBackend
"""Tries a host's addresses beside each other, in the time that there is for all."""


class Backend(httpcore.SyncBackend):
    """Tries a host's addresses one after the other, in the time that there is for all."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a host.

        Raises:
            httpcore.ConnectError: it has no address, or refused at the last of them.
            httpcore.ConnectTimeout: the last of them did not answer.
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        try:
            found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        while True:
            address = found.pop(0)
            # The same share for each that is left: one that nobody answers at takes none of the others' time.
            share = None if ends_at is None else max(0.001, (ends_at - time.monotonic()) / (len(found) + 1))
            try:
                return super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not found:
                    raise
