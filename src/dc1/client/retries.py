"""What is sent again, and when."""

from __future__ import annotations

import random
import time

from dc1.client.calls import HttpCall
from dc1.client.errors import ClientError, ConnectionBrokenError, RateLimitedError, RefusedError, UnreachableError

_FIRST_PAUSE_SECONDS = 0.2
_GROWTH = 2
# Whoever comes back should not be found missing for longer than it took.
_LONGEST_PAUSE_SECONDS = 3.0
# Who has never been reached was most likely not meant, and whoever mistyped an address should not wait to hear it; nor
# does it help to ask on who is told that it was too often, and not until when. Some 1.4 s.
_DOUBTFUL_ATTEMPTS = 3
# Who is told to wait for longer has other things to do, and should decide that himself.
_PATIENCE_SECONDS = 10.0
TROUBLE = frozenset({502, 503, 504})
"""What stands before a server says so while there is none."""
_STILL_DOING_IT = "IDEMPOTENCY_IN_PROGRESS"


class Attempts:
    """The attempts at one call, for as long as it is worth waiting for.

    Args:
        call: what is sent.
        retries: how often it is sent again at most; None for as often as there is time.
        again_seconds: until when it is sent again; a server is started anew in 3 s, and in 20 s on a busy machine.
        is_known: whether the marketplace has ever answered.

    Attributes:
        ends_at: when nobody waits for the answer any more, by `time.monotonic()`.
    """

    def __init__(self, call: HttpCall, retries: int | None, *, again_seconds: float, is_known: bool) -> None:
        self._call = call
        self._is_known = is_known
        self._retries = retries
        self._made = 0
        # The machine's own clock: a wait is about the wire.
        now = time.monotonic()
        self.ends_at = min(now + call.timeout_seconds, call.ends_at)
        self._again_until = min(self.ends_at, now + again_seconds)

    @property
    def left_seconds(self) -> float:
        """How long the other side may be silent in this attempt."""
        return max(0.001, self.ends_at - time.monotonic())

    def pause_after(self, error: ClientError) -> float | None:
        """Return for how many seconds to wait before the next attempt, None where the error is the end of it."""
        self._made += 1
        # A connection that broke had come about.
        self._is_known |= not isinstance(error, UnreachableError)
        if not self._is_worth_another(error) or self._made > self._most(error):
            return None
        said = error.retry_after_seconds if isinstance(error, RefusedError) else None
        if said is not None and said > _PATIENCE_SECONDS:
            return None
        usual = min(_FIRST_PAUSE_SECONDS * _GROWTH ** min(self._made - 1, 10), _LONGEST_PAUSE_SECONDS)
        # Whom a server lost all at once should not come back in one blow, and none before it may.
        spread = usual * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        pause = spread if said is None else max(spread, said + spread / 2)
        return pause if time.monotonic() + pause < self._again_until else None

    def _most(self, error: ClientError) -> float:
        most = float("inf") if self._retries is None else self._retries
        is_endless = isinstance(error, RateLimitedError) and error.retry_after_seconds is None
        return min(most, _DOUBTFUL_ATTEMPTS) if is_endless or not self._is_known else most

    def _is_worth_another(self, error: ClientError) -> bool:
        # A connection that never was and a call that was counted out had no effect, whatever they asked for.
        if isinstance(error, UnreachableError | RateLimitedError):
            return True
        if not self._call.is_repeatable:
            return False
        if isinstance(error, RefusedError):
            return error.status in TROUBLE or error.code == _STILL_DOING_IT
        return isinstance(error, ConnectionBrokenError)
