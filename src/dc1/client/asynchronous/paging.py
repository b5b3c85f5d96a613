"""Lists that come in parts, read on as far as somebody looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from dc1.client.asynchronous.transport import AsyncTransport


async def by_offset(transport: AsyncTransport, path: str, rows: str, *, size: int, **query: Any) -> AsyncIterator[Any]:
    """Yield what the lists at `path` have under `rows`, counted by rows."""
    offset, last = 0, frozenset[Any]()
    while True:
        body = (await transport.get(path, limit=size, offset=offset, **query)).body
        for row in _unseen(body[rows], last):
            yield row
        last = _names(body[rows])
        offset += len(body[rows])
        if not body[rows] or offset >= body["total"]:
            return


async def by_page(transport: AsyncTransport, path: str, rows: str, *, size: int, **query: Any) -> AsyncIterator[Any]:
    """Yield what the lists at `path` have under `rows`, counted by pages."""
    page, last = 1, frozenset[Any]()
    while True:
        body = (await transport.get(path, limit=size, page=page, **query)).body
        for row in _unseen(body[rows], last):
            yield row
        last = _names(body[rows])
        if not body[rows] or page >= body["pagination"]["pages"]:
            return
        page += 1


def _unseen(part: list[dict[str, Any]], last: frozenset[Any]) -> list[dict[str, Any]]:
    """Return the rows that were not in the part before."""
    # Lists begin with the newest: one that came meanwhile pushes the end of one part into the next.
    return [row for row in part if row.get("id") is None or row["id"] not in last]


def _names(part: list[dict[str, Any]]) -> frozenset[Any]:
    return frozenset(row.get("id") for row in part)
