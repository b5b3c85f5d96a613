"""Posts to strangers' hosts, at the addresses that were checked and no others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import httpx

from dc1.containment import contained
from dc1.control.delivery.webhook_targets import NotPublicError, Target

T = TypeVar("T")
_Trace: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class UndeliveredError(Exception):
    """Something did not reach its receiver; the text says why, and no secret and nothing of the host."""


async def delivered(sending: Awaitable[T], seconds: float) -> T:
    """Return what came of sending something, which may take so long.

    Raises:
        UndeliveredError: it failed in a way that networks and receivers do.
    """
    try:
        async with asyncio.timeout(seconds):
            with contained():
                return await sending
    except TimeoutError:
        raise UndeliveredError(f"No answer within {seconds:g} s") from None
    except NotPublicError as refusal:
        raise UndeliveredError(str(refusal)) from None
    except (httpx.HTTPError, OSError) as error:
        raise UndeliveredError(f"The request failed: {type(error).__name__}") from None


def refusal_of(status: int) -> str | None:
    """Return what an answer says against a delivery: nothing, with 2xx."""
    return None if 200 <= status < 300 else f"The answer was HTTP {status}"


@contextlib.asynccontextmanager
async def _closing() -> AsyncIterator[_Trace]:
    """Yield who is to be told of a request's way, and close its connections at the end.

    The library forgets one that is broken off in its TLS handshake: a host that accepts and says nothing would keep
    each until the garbage collector comes.
    """
    async with contextlib.AsyncExitStack() as opened:

        async def told(event: str, facts: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                opened.push_async_callback(facts["return_value"].aclose)

        yield told


class HttpsPoster:
    """An HTTP client that follows nothing, remembers nothing and looks nothing up."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body, and return the HTTP status; how long it may take is for the caller to bound."""
        headers = {"Host": target.url.netloc.decode("ascii"), **headers}
        client = await self._connected()
        for address in target.addresses:
            # The very address that was checked: a name may lead elsewhere when it is asked again.
            url = target.url.copy_with(host=address)
            with contextlib.suppress(httpx.ConnectError):
                async with (
                    _closing() as trace,
                    client.stream(
                        "POST",
                        url,
                        content=body,
                        headers=headers,
                        extensions={"sni_hostname": target.host, "trace": trace},
                    ) as response,
                ):
                    return response.status_code
        raise httpx.ConnectError("no address of the host accepts connections")

    async def _connected(self) -> httpx.AsyncClient:
        async with self._connecting:
            if self._client is None:
                # Reading the certificates of the authorities takes a while.
                trusted = await asyncio.to_thread(httpx.create_ssl_context)
                # A connection is never used twice: the next request to the same address may be for another host.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
                # A delivery is bounded as a whole, from the look-up of its host to the answer.
                self._client = httpx.AsyncClient(verify=trusted, trust_env=False, timeout=None, limits=limits)  # noqa: S113
            return self._client
