"""The log lines of daemons' streams: one each as they come and go, and in a storm one for all of a second."""

import asyncio
from collections.abc import Iterator
from contextvars import Context

import structlog

_WINDOW_SECONDS = 1.0
_MOST_LINES = 20
"""How many open, and how many end, with a line of their own in a window."""

_IDS_IN_A_LINE = 500

log = structlog.get_logger(__name__)


class _Window:
    """How many came in a window, and who of them had no line."""

    def __init__(self) -> None:
        self._lines = 0
        self._left_out: list[int] = []

    def takes(self, provider_id: int) -> bool:
        """Tell whether one more has a line of its own; it is told later otherwise."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            self._left_out.append(provider_id)
            return False
        return True

    def take(self) -> Iterator[list[int]]:
        """Yield who had no line, a line's worth each."""
        ids, self._left_out, self._lines = self._left_out, [], 0
        yield from (ids[start : start + _IDS_IN_A_LINE] for start in range(0, len(ids), _IDS_IN_A_LINE))


class StreamLog:
    """Writes who came and who went. A line takes the server as long as a twentieth of a stream that opens.

    Of those without a line of their own the ids are told once the window has passed, so that nobody's coming is lost.
    Owned by the event loop.
    """

    def __init__(self) -> None:
        self._opened = _Window()
        self._closed = _Window()
        self._closing: asyncio.TimerHandle | None = None

    def opened(self, provider_id: int, leases: int) -> None:
        """Note a stream that opened, whose daemon holds so many leases."""
        if self._is_told(self._opened, provider_id):
            log.info("stream_opened", provider_id=provider_id, leases=leases)

    def closed(self, provider_id: int, silent_seconds: float, open_seconds: float) -> None:
        """Note one that ended; of a daemon that fell silent by a line of its own in any case."""
        if silent_seconds or self._is_told(self._closed, provider_id):
            facts = {"silent_seconds": silent_seconds, "open_seconds": round(open_seconds, 1)}
            log.info("stream_closed", provider_id=provider_id, **facts)

    def tell(self) -> None:
        """Tell who came and went without a line, and begin anew."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        for ids in self._opened.take():
            log.info("streams_opened", count=len(ids), provider_ids=ids)
        for ids in self._closed.take():
            log.info("streams_closed", count=len(ids), provider_ids=ids)

    def _is_told(self, window: _Window, provider_id: int) -> bool:
        if self._closing is None:
            # In no call's context: the line would have the request id of whoever came first.
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(_WINDOW_SECONDS, self.tell, context=Context())
        return window.takes(provider_id)
