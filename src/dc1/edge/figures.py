"""What Envoy counted of calls that it refused by itself, as its administration interface tells it."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dc1.edge.admin import EnvoyAdmin

_REFUSED = "envoy_edge_refused"
# Listeners are named by their addresses, none of which begins as that of the administration interface does.
_FILTER = r"^edge\.refused|^listener\.[^a].*cx_(overflow|overload_reject)$"
_LINE = re.compile(r"(\w+)\{(.*)\} (\d+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class EdgeRefusal(NamedTuple):
    """A kind of refusal: the method as `/package.Service/Method`, or empty, and its status.

    A native call has 200 as its status; what it would be over REST is `chosen`, where the edge says it.
    """

    method: str
    status: int
    grpc_status: int
    chosen: int


class EdgeFigures(NamedTuple):
    """Refusals of the edge's own since it started, and how many connections it closed because there were too many."""

    refusals: Counter[EdgeRefusal]
    refused_connections: int


async def read_figures(admin_socket: Path) -> EdgeFigures:
    """Return what the Envoy with this socket counted; fails with an httpx.HTTPError when there is none."""
    async with EnvoyAdmin(admin_socket) as admin:
        text = await admin.figures(_FILTER)
    refusals: Counter[EdgeRefusal] = Counter()
    connections = 0
    for name, labels, count in _LINE.findall(text):
        if name != _REFUSED:
            connections += int(count)
            continue
        told = dict(_LABEL.findall(labels))
        # What a server refused, also when the edge only asked it, is in that server's counts.
        if not told["by"] and not told["asked"]:
            kind = EdgeRefusal(
                told["method"], *(int(told[each] or 0) for each in ("status", "grpc_status", "http_status"))
            )
            refusals[kind] += int(count)
    return EdgeFigures(refusals, connections)
