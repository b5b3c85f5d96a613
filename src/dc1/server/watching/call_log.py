"""The log lines of calls: one for each that was served, and of those that were refused no more than can be read."""

import asyncio
from collections import Counter
from contextlib import AbstractContextManager

import structlog

from dc1.metrics.calls import CallMetrics
from dc1.server.listening.addresses import counted_as
from dc1.server.method_options import options_of
from dc1.services.api.call import Call
from dc1.services.api.open_streams import OpenStreams
from dc1.services.api.refusals import UNKNOWN_METHOD, RefusalCounts, RefusalReason, reason_of, short_name

WINDOW_SECONDS = 60.0
MOST_LINES = 600
"""Refusals that have a line of their own in a window."""

MOST_LINES_OF_A_CALLER = 60
"""The same of one account, or of one address without a key; so that a flood of one hides nobody else's."""

_METHODS_TOLD = 5
_log = structlog.get_logger(__name__)


class CallLog:
    """Writes how calls ended and counts the refused ones; what gets no line is told once a window, by its number."""

    def __init__(self, counts: RefusalCounts, open_streams: OpenStreams, metrics: CallMetrics) -> None:
        self._counts = counts
        self._open_streams = open_streams
        self._metrics = metrics
        self._written = 0
        self._lines: Counter[str] = Counter()
        self._left_out: Counter[RefusalReason] = Counter()
        self._left_out_methods: Counter[str] = Counter()
        self._closing: asyncio.TimerHandle | None = None

    def streaming(self, method: str) -> AbstractContextManager[None]:
        """Count a stream as open while the block runs."""
        return self._open_streams.counted(method)

    def served(self, call: Call, status: int, seconds: float) -> None:
        """Write that a call was answered."""
        self._measure(call.method, status, seconds)
        # A daemon's stream has lines of its own as it opens and ends, and a fleet that goes would write as many more.
        if not options_of(call.method).holds_daemon:
            _log.info("call", **_facts(call, status, seconds))

    def refused(self, call: Call, status: int, seconds: float) -> None:
        """Count a refused call, and write it unless too many were written lately."""
        self._measure(call.method, status, seconds)
        reason = reason_of(status)
        if reason is RefusalReason.CLIENT_GONE and options_of(call.method).holds_daemon:
            # That a stream broke is told where it is closed.
            self._counts.add(call.method, reason)
            return
        account = call.principal.account if call.principal.account_id is not None else ""
        if self._note(call.method, reason, account or counted_as(call.address)):
            _log.info("call", **_facts(call, status, seconds), reason=reason, address=call.address)

    def standard_refused(self, method: str, address: str) -> None:
        """Do the same for a stream of standard health or reflection, of which too many are open."""
        if self._note(method, RefusalReason.RATE_LIMITED, counted_as(address)):
            _log.info("standard_call", method=method, status="refused", address=address)

    def unknown(self) -> None:
        """Count a call of a method that there is not, whose name is told to nobody."""
        self._counts.add(UNKNOWN_METHOD, RefusalReason.NOT_FOUND)
        self._metrics.ended(UNKNOWN_METHOD, 404)

    def close(self) -> None:
        """Tell what got no line, and begin anew."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self._written = 0
        self._lines.clear()
        if self._left_out:
            methods = dict(self._left_out_methods.most_common(_METHODS_TOLD))
            _log.warning("refusals_left_out", counts=dict(self._left_out), most_called=methods)
            self._left_out.clear()
            self._left_out_methods.clear()

    def _measure(self, method: str, status: int, seconds: float) -> None:
        # How long a stream stays is for who reads it to choose.
        self._metrics.ended(short_name(method), status, None if options_of(method).streams else seconds)

    def _note(self, method: str, reason: RefusalReason, caller: str) -> bool:
        """Count a refusal and tell whether it gets a line."""
        self._counts.add(method, reason)
        if self._closing is None:
            # By the loop and not by the next refusal: the last of a flood would never be told.
            self._closing = asyncio.get_running_loop().call_later(WINDOW_SECONDS, self.close)
        # The total is looked at first: callers are kept for lines that were written, so it bounds them, too.
        if self._written < MOST_LINES and self._lines[caller] < MOST_LINES_OF_A_CALLER:
            self._written += 1
            self._lines[caller] += 1
            return True
        self._left_out[reason] += 1
        self._left_out_methods[method] += 1
        return False


def _facts(call: Call, status: int, seconds: float) -> dict[str, object]:
    return {
        "method": call.method,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "request_id": call.request_id,
        "role": str(call.principal.role),
        "account_id": call.principal.account_id,
    }
