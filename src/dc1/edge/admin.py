"""Envoy's administration interface, as far as running it needs it."""

import asyncio
import ssl
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

# Between two looks at Envoy while it starts or drains; a person waits for both.
POLL_SECONDS = 0.02


@cache
def _no_certificates() -> ssl.SSLContext:
    # Of the process: to make one takes 4 ms, in which a server's loop would do nothing else at every look at its edge.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class EnvoyAdmin:
    """Calls to the administration interface at a Unix socket."""

    def __init__(self, socket: Path) -> None:
        # The host is a name only: nothing is looked up, nor taken from the environment, such as a proxy. Nothing
        # is encrypted, and to load the machine's certificates holds a server's loop up.
        transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=_no_certificates())
        self._client = httpx.AsyncClient(base_url="http://envoy", transport=transport, trust_env=False, timeout=5.0)

    async def is_ready(self) -> bool:
        """Return whether Envoy accepts connections; False too while the interface itself is not up yet."""
        try:
            return (await self._client.get("/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def listener_port(self, name: str) -> int:
        """Return the port on which the named listener accepts connections."""
        answer = await self._client.get("/listeners", params={"format": "json"})
        ports = {
            listener["name"]: listener["local_address"]["socket_address"]["port_value"]
            for listener in answer.json()["listener_statuses"]
        }
        return int(ports[name])

    async def reopen_logs(self) -> None:
        """Let Envoy write to new files where its logs were renamed."""
        (await self._client.post("/reopen_logs")).raise_for_status()

    async def figures(self, names: str) -> str:
        """Return the figures whose names match a regular expression, in the form that Prometheus reads."""
        answer = await self._client.get("/stats/prometheus", params={"filter": names})
        return answer.raise_for_status().text

    async def drain(self) -> None:
        """Accept no more connections and return when no request is in flight, for which the caller sets a limit.

        Connections that are open are closed behind their next answer.
        """
        # Before it is deaf: else clients go on to ask on connections that end under a call when the time is up.
        await self._client.post("/healthcheck/fail")
        await self._client.post("/drain_listeners")
        while True:
            if await self._active_requests() == 0:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _active_requests(self) -> int:
        # The gauge has the stat_prefix of the public listener in its name, so that the interface's own requests are not
        # counted.
        answer = await self._client.get("/stats", params={"filter": r"^http\.public\.downstream_rq_active$"})
        return int(answer.text.rpartition(":")[2] or 0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()
