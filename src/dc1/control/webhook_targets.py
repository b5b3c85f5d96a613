"""Where webhooks may go: https only, and only to hosts all of whose addresses are public."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from dc1.domain.webhooks import is_public

_MAX_LENGTH = 2048
_DEFAULT_PORT = 443
# Looking names up has threads of its own: hosts that never answer must not hold up anything else.
_LOOKUPS = 8

Resolver: TypeAlias = Callable[[str, int], list[str]]


class NotPublicError(Exception):
    """An address that webhooks do not go to; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook address and the IP addresses that its host had when they were checked, in the resolver's order."""

    url: httpx.URL
    addresses: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host as TLS and the Host header spell it."""
        return self.url.raw_host.decode("ascii").strip("[]")


def look_up(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host; raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Targets:
    """Checks webhook addresses, when they are saved and each time something is sent."""

    def __init__(self, *, allow_private: bool = False, resolver: Resolver = look_up) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="dc1-webhook-dns")

    async def resolve(self, address: str) -> Target:
        """Return where an address leads now.

        Raises NotPublicError for anything but an https URL without credentials whose host has public addresses only.
        """
        url = _parsed(address)
        target = Target(url, ())
        port = url.port or _DEFAULT_PORT
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, self._resolver, target.host, port)
        except (OSError, UnicodeError):
            raise NotPublicError("The host has no address") from None
        if not found or not (self._allow_private or all(is_public(each) for each in found)):
            raise NotPublicError("The host is not public")
        return Target(url, tuple(found))

    def close(self) -> None:
        """Wait for no further look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _parsed(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address) if len(address) <= _MAX_LENGTH else httpx.URL()
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme != "https" or not url.host or url.userinfo:
        raise NotPublicError("The address is not an https URL")
    return url
