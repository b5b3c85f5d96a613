"""Lists that come in parts, read on as far as somebody looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from dc1.client.asynchronous.transport import AsyncTransport


async def by_offset(transport: AsyncTransport, path: str, rows: str, *, size: int, **query: Any) -> AsyncIterator[Any]:
    """Yield what the lists at `path` have under `rows`, counted by rows."""
    offset = 0
    while True:
        body = (await transport.get(path, limit=size, offset=offset, **query)).body
        for row in body[rows]:
            yield row
        offset += len(body[rows])
        if not body[rows] or offset >= body["total"]:
            return


async def by_page(transport: AsyncTransport, path: str, rows: str, *, size: int, **query: Any) -> AsyncIterator[Any]:
    """Yield what the lists at `path` have under `rows`, counted by pages."""
    page = 1
    while True:
        body = (await transport.get(path, limit=size, page=page, **query)).body
        for row in body[rows]:
            yield row
        if not body[rows] or page >= body["pagination"]["pages"]:
            return
        page += 1
