"""What is sent again, and when."""

from __future__ import annotations

import time

from dc1.client.calls import HttpCall
from dc1.client.errors import ClientError, ConnectionBrokenError, RateLimitedError, RefusedError, UnreachableError

_FIRST_PAUSE_SECONDS = 0.2
# 0.2, 1.2 and 7.2 s: as long together as a server takes to be started anew, on a busy machine too.
_GROWTH = 6
# Who has never been reached was most likely not meant, and whoever mistyped an address should not wait to hear it.
_GROWTH_UNKNOWN = 2
# Who is told to wait for longer has other things to do, and should decide that himself.
_PATIENCE_SECONDS = 5.0
_TROUBLE = frozenset({502, 503, 504})
_STILL_DOING_IT = "IDEMPOTENCY_IN_PROGRESS"


class Attempts:
    """The attempts at one call: `retries` more after the first, in the time that the call has.

    `is_known` tells whether the marketplace has ever answered.
    """

    def __init__(self, call: HttpCall, retries: int, *, is_known: bool) -> None:
        self._call = call
        self._is_known = is_known
        self._retries = retries
        self._made = 0
        # The machine's own clock: a wait is about the wire.
        self._ends_at = time.monotonic() + call.timeout_seconds

    @property
    def left_seconds(self) -> float:
        """How long the other side may be silent in the next attempt."""
        return max(0.001, self._ends_at - time.monotonic())

    def pause_after(self, error: ClientError) -> float | None:
        """Return for how many seconds to wait before the next attempt, None where the error is the end of it."""
        self._made += 1
        if self._made > self._retries or not self._is_worth_another(error):
            return None
        said = error.retry_after_seconds if isinstance(error, RefusedError) else None
        growth = _GROWTH if self._is_known or not isinstance(error, UnreachableError) else _GROWTH_UNKNOWN
        if said is not None and said > _PATIENCE_SECONDS:
            return None
        pause = _FIRST_PAUSE_SECONDS * growth ** (self._made - 1) if said is None else said
        return pause if pause < self.left_seconds else None

    def _is_worth_another(self, error: ClientError) -> bool:
        # A connection that never was and a call that was counted out had no effect, whatever they asked for.
        if isinstance(error, UnreachableError | RateLimitedError):
            return True
        if not self._call.is_repeatable:
            return False
        if isinstance(error, RefusedError):
            return error.status in _TROUBLE or error.code == _STILL_DOING_IT
        return isinstance(error, ConnectionBrokenError)
