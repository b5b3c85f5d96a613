"""What the edge beside this server refused without a word of the server's, for operators to see."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
from grpc import StatusCode

from dc1.edge.figures import EdgeRefusal, read_figures
from dc1.services.api.refusals import UNKNOWN_METHOD, RefusalCount, RefusalReason, reason_of, short_name

_PATIENCE_SECONDS = 2.0
"""An edge answers in milliseconds; one that hangs must not hang those who look at the market."""

_OF_CODE: dict[int, RefusalReason] = {
    StatusCode.INVALID_ARGUMENT.value[0]: RefusalReason.INVALID,
    StatusCode.UNAUTHENTICATED.value[0]: RefusalReason.UNAUTHENTICATED,
    StatusCode.PERMISSION_DENIED.value[0]: RefusalReason.FORBIDDEN,
    StatusCode.NOT_FOUND.value[0]: RefusalReason.NOT_FOUND,
    StatusCode.UNIMPLEMENTED.value[0]: RefusalReason.NOT_FOUND,
    StatusCode.RESOURCE_EXHAUSTED.value[0]: RefusalReason.RATE_LIMITED,
    StatusCode.UNAVAILABLE.value[0]: RefusalReason.UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED.value[0]: RefusalReason.TIMED_OUT,
}


class EdgeCounts(NamedTuple):
    """Refusals of the edge by `/package.Service/Method` and reason, and the connections that it closed unheard."""

    refusals: Counter[tuple[str, RefusalReason]]
    refused_connections: int

    def shown(self) -> Iterator[RefusalCount]:
        """Yield the counts by method, then by reason."""
        for (method, reason), count in sorted(self.refusals.items()):
            yield RefusalCount(short_name(method), reason, count)


class EdgeRefusals:
    """Asks the edge that keeps its files where the server has its own, if there is one."""

    def __init__(self, admin_socket: Path) -> None:
        self._admin_socket = admin_socket

    async def read(self) -> EdgeCounts | None:
        """Return what the edge counted since it started; None when none answers."""
        try:
            # A server without an edge beside it looks every minute, too.
            if not self._admin_socket.exists():
                return None
            async with asyncio.timeout(_PATIENCE_SECONDS):
                figures = await read_figures(self._admin_socket)
        # An edge of another user's, or on another machine, is none that can be asked.
        except (httpx.HTTPError, OSError, TimeoutError):
            return None
        counts: Counter[tuple[str, RefusalReason]] = Counter()
        for refusal, count in figures.refusals.items():
            counts[refusal.method or UNKNOWN_METHOD, _reason(refusal)] += count
        return EdgeCounts(counts, figures.refused_connections)


def _reason(refusal: EdgeRefusal) -> RefusalReason:
    # A native answer's code has one word for what is too large and what is too much.
    status = refusal.chosen or refusal.status
    return reason_of(status) if status >= 400 else _OF_CODE.get(refusal.grpc_status, RefusalReason.FAILED)
