"""HTTP with an engine: connections that are kept, as many as there are calls, and bodies as they come."""

import asyncio
import json
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlsplit

import aiohttp

from dc1 import tracing
from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.inference.forms import FORM_PATHS, form_of
from dc1.domain.jobs.states import ErrorCategory
from dc1.proxies import http_proxy

_CONNECT_SECONDS = 5.0
_PIECE_BYTES = 64 * 1024
_ANY_HEADER = 32 + zlib.MAX_WBITS
"""Of gzip or of zlib, which `deflate` is."""

_JSON = {"Content-Type": "application/json"}
# The last is what comes in place of an answer's head: late words of the answer before, as a rule.
_UNANSWERED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientResponseError)


class EngineHttp:
    """One server below `root`, or at a `socket` of this machine, whatever host the URL names."""

    def __init__(self, root: str, headers: Mapping[str, str], socket: str | None) -> None:
        self._root = root
        self._headers = headers
        self._socket = socket
        address = urlsplit(root)
        # Engines stand beside their daemon as a rule, and some are somebody's service out there.
        proxy = None if socket else http_proxy(address.scheme, address.hostname or "", address.port)
        self._proxy = proxy
        self._trusted = trusted_authorities() if address.scheme == "https" and not socket else True
        self._opened: dict[bool, aiohttp.ClientSession] = {}

    async def ask(self, method: str, path: str, body: str | None = None) -> aiohttp.ClientResponse:
        """Send a request, whose body is JSON, and return the answer as soon as it has begun; who has it closes it.

        Fails with an aiohttp.ClientError.
        """
        return await self._asked(method, path, lambda: body)

    async def call(self, path: str, body: str) -> aiohttp.ClientResponse:
        """Send a call as `ask` does, as a form where its path takes one."""
        return await self._asked("POST", path, lambda: form_of(json.loads(body)) if path in FORM_PATHS else body)

    async def _asked(
        self, method: str, path: str, write: Callable[[], str | aiohttp.FormData | None]
    ) -> aiohttp.ClientResponse:
        try:
            return await self._send(method, path, write())
        except aiohttp.ClientConnectorError:
            raise
        except _UNANSWERED:
            # It may have ended a kept connection at the moment at which that was used again, or say there what is left
            # of the last answer: on a new one it answers. Not on another kept one, for those of calls that were
            # answered together it ends together.
            return await self._send(method, path, write(), keeps=False)

    async def _send(
        self, method: str, path: str, body: str | aiohttp.FormData | None, *, keeps: bool = True
    ) -> aiohttp.ClientResponse:
        headers = dict(_JSON) if isinstance(body, str) else {}
        if current := tracing.traceparent():
            headers["traceparent"] = current
        return await self._session(keeps=keeps).request(
            method,
            f"{self._root}/{path}",
            data=body,
            headers=headers,
            # An engine that sends its callers elsewhere would have them call whom its owner did not name.
            allow_redirects=False,
        )

    def _session(self, *, keeps: bool) -> aiohttp.ClientSession:
        """Return what asks on kept connections, or on new ones that serve one request each."""
        # Made with the first request, for it belongs to the event loop that it is made in.
        if keeps not in self._opened:
            # As many as there are calls: how many the engine takes, the market has been told.
            connector = (
                aiohttp.UnixConnector(self._socket, limit=0, force_close=not keeps)
                if self._socket
                else aiohttp.TCPConnector(limit=0, ssl=self._trusted, force_close=not keeps)
            )
            self._opened[keeps] = aiohttp.ClientSession(
                connector=connector,
                # Not compressed, which costs both ends and saves nothing on one machine.
                headers={"Accept-Encoding": "identity", **self._headers},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                # How long an answer may take is the job's deadline, not the transport's.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                proxy=self._proxy,
                trust_env=False,
            )
        return self._opened[keeps]

    async def aclose(self) -> None:
        """Close the connections."""
        for session in self._opened.values():
            await session.close()


def pieces_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Return the bytes of an answer as they come; of a compressed one, for which nobody asked, what they stand for.

    One that is compressed otherwise than by gzip or deflate, or wrongly, fails with a RunFailed as it is read.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    sent = response.content.iter_any()
    return sent if coding in ("", "identity") else _inflated(sent, coding)


async def _inflated(sent: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise RunFailed(ErrorCategory.ENGINE, f"the engine compresses its answers by {coding[:20]}", transient=True)
    inflater = zlib.decompressobj(_ANY_HEADER)
    try:
        async for piece in sent:
            rest = piece
            # In pieces, for a few bytes may stand for any number: whoever reads them stops at what an answer can be,
            # and other jobs have their turn meanwhile.
            while rest:
                yield inflater.decompress(rest, _PIECE_BYTES)
                if rest := inflater.unconsumed_tail:
                    await asyncio.sleep(0)
            if inflater.eof:
                # What follows would be kept without an end, for whoever asks for it.
                return
    except zlib.error:
        raise RunFailed(ErrorCategory.ENGINE, "the engine's answer is compressed wrongly", transient=True) from None


def trusted_authorities() -> ssl.SSLContext:
    """Return whose certificates are believed: the public authorities, and those that this machine has besides."""
    # Loaded for engines behind TLS alone. A small machine has none of its own, but httpx brings the public ones along.
    import httpx

    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
