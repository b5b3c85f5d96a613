"""Envoy's own metrics, behind the address that the edge's operator chose for them."""

from pathlib import Path

import httpx
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from dc1.metrics.exposition import NothingToTellError, Page

_PATIENCE_SECONDS = 5.0
_NOBODY = "No edge answers in this data directory."


def page_of_edge(admin_socket: Path) -> Page:
    """Return the page of what the Envoy with this socket has counted, of which it names only what ever happened."""

    def page(_accept: str) -> tuple[str, bytes]:
        if not admin_socket.is_socket():
            raise NothingToTellError(_NOBODY)
        transport = httpx.HTTPTransport(uds=str(admin_socket), verify=False)
        try:
            with httpx.Client(transport=transport, trust_env=False, timeout=_PATIENCE_SECONDS) as client:
                answer = client.get("http://envoy/stats/prometheus", params={"usedonly": ""}).raise_for_status()
        except (httpx.HTTPError, OSError):
            raise NothingToTellError(_NOBODY) from None
        return CONTENT_TYPE_PLAIN_0_0_4, answer.content

    return page
