"""Where webhooks may go: https only, and only to hosts all of whose addresses are public."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from dc1.domain.access.webhooks import is_public_address

_MAX_LENGTH = 2048
# Looking names up has threads of its own, those of deliveries apart: names that nobody answers must not hold up
# anything else.
_LOOKUPS = 64
_CHECK_SECONDS = 5.0

Resolver: TypeAlias = Callable[[str], list[str]]


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


def look_up(host: str) -> list[str]:
    """Return the IP addresses of a host; raises OSError when it has none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Targets:
    """Checks webhook addresses, when they are saved and each time something is sent."""

    def __init__(self, *, allow_private: bool = False, resolver: Resolver = look_up) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="dc1-webhook-dns")
        self._checks = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="dc1-webhook-check")
        self._asked: dict[tuple[Executor, str], asyncio.Future[list[str]]] = {}
        self._checked: dict[str, asyncio.Future[Target]] = {}

    async def check(self, address: str, account: str) -> None:
        """Look up an address that an account is about to save.

        Each account has one looked up at a time, so that one who names many hosts that nobody answers for holds up
        only themselves.

        Raises:
            NotPublicError: As of `resolve`, or it takes longer than a caller waits; a resolver gives up far later.
        """
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                while (earlier := self._checked.get(account)) is not None:
                    await asyncio.wait({earlier})
                checked = self._checked[account] = asyncio.ensure_future(self._resolve(address, self._checks))
                checked.add_done_callback(lambda _: self._checked.pop(account, None))
                await asyncio.shield(checked)
        except TimeoutError:
            raise NotPublicError("The host has no address") from None

    async def resolve(self, address: str) -> Target:
        """Return where an address leads now.

        Raises NotPublicError for anything but an https URL without credentials whose host has public addresses only.
        """
        return await self._resolve(address, self._threads)

    async def _resolve(self, address: str, threads: Executor) -> Target:
        url = _parsed(address)
        try:
            found = await self._look_up(threads, Target(url, ()).host)
        except (OSError, UnicodeError):
            raise NotPublicError("The host has no address") from None
        if not found or not (self._allow_private or all(is_public_address(each) for each in found)):
            raise NotPublicError("The host is not public")
        return Target(url, tuple(found))

    async def _look_up(self, threads: Executor, host: str) -> list[str]:
        """Return the addresses of a host; who asks while the answer is awaited shares it."""
        question = (threads, host)
        asked = self._asked.get(question)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asked[question] = loop.run_in_executor(threads, self._resolver, host)
            asked.add_done_callback(lambda _: self._asked.pop(question, None))
        # One who gives up waiting does not take the answer from the others.
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Wait for no further look-up."""
        for threads in (self._threads, self._checks):
            threads.shutdown(wait=False, cancel_futures=True)


def _parsed(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address) if len(address) <= _MAX_LENGTH else httpx.URL()
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme != "https" or not url.host or url.userinfo:
        raise NotPublicError("The address is not an https URL")
    return url
