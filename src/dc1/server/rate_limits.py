"""How often who may call: fixed windows, counted in memory."""

from dataclasses import dataclass

from dc1.domain.base.clock import Clock
from dc1.domain.errors import rate_limit_exceeded
from dc1.server.method_options import Bucket, CountedBy

FAILED_AUTHENTICATIONS = Bucket("failed-authentications", 60, 60, CountedBy.ADDRESS)
# Addresses are for clients to choose, so what is remembered of them must have an end.
_CAPACITY = 100_000


@dataclass(slots=True)
class _Window:
    ends_ms: int
    used: int = 0


class RateLimiter:
    """Counts calls by bucket and subject. A window opens with its first call; what is over the limit is not counted."""

    def __init__(self, clock: Clock, *, enabled: bool, capacity: int = _CAPACITY) -> None:
        """`capacity` is how many windows are kept; beyond it, ended windows go first, then the oldest."""
        self._clock = clock
        self._enabled = enabled
        self._capacity = capacity
        self._windows: dict[tuple[str, str], _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def spend(self, bucket: Bucket, subject: str) -> None:
        """Count a call of `subject`, or refuse it with 429 when the window is full.

        The wait that the refusal names is 1 to `bucket.window_seconds` seconds.
        """
        if not self._enabled:
            return
        window = self._window(bucket, subject)
        self._refuse_full(bucket, window)
        window.used += 1

    def check(self, bucket: Bucket, subject: str) -> None:
        """Raise as `spend` does when the window is full, without counting."""
        if self._enabled:
            self._refuse_full(bucket, self._window(bucket, subject))

    def _refuse_full(self, bucket: Bucket, window: _Window) -> None:
        if window.used >= bucket.limit:
            left_ms = window.ends_ms - self._clock.now_ms()
            # Rounded up, and at least a second: who comes back after the wait must not be too early.
            raise rate_limit_exceeded(min(max(1, -(-left_ms // 1000)), bucket.window_seconds))

    def _window(self, bucket: Bucket, subject: str) -> _Window:
        now_ms = self._clock.now_ms()
        key = (bucket.name, subject)
        window = self._windows.get(key)
        if window is None or now_ms >= window.ends_ms:
            # Taken out and put in anew, so that the dictionary stays in the order in which windows opened.
            self._windows.pop(key, None)
            if len(self._windows) >= self._capacity:
                self._make_room(now_ms)
            window = self._windows[key] = _Window(now_ms + bucket.window_seconds * 1000)
        return window

    def _make_room(self, now_ms: int) -> None:
        for key in [key for key, window in self._windows.items() if now_ms >= window.ends_ms]:
            del self._windows[key]
        # A tenth at once, so that a flood of new subjects doesn't sweep on every call.
        for key in list(self._windows)[: max(0, len(self._windows) - self._capacity * 9 // 10)]:
            del self._windows[key]
