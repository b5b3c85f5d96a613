"""How often who may call: fixed windows, counted in memory."""

import heapq
from dataclasses import dataclass
from typing import Self

from dc1.domain.base.clock import Clock
from dc1.domain.errors import rate_limit_exceeded
from dc1.server.listening.addresses import counted_as, site_of
from dc1.server.method_options import Bucket, CountedBy

FAILED_AUTHENTICATIONS = Bucket("failed-authentications", 60, 60, CountedBy.ADDRESS)
LATE_LOOK_UPS = Bucket("late-look-ups", 5, 1, CountedBy.ADDRESS)
"""Keys that are looked up for an address whose failures are too many: few, so that a good one may be among them."""
_CAPACITY = 100_000
"""Windows kept of addresses, and as many of accounts: some 30 MB each when all are open."""

_PER_OWNER = 1_000
"""Windows of one account's jobs or of one site's addresses; an account may open 300 a minute."""

_SHARED_WINDOWS = 1_024
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a call is counted for; `owner` is who can make up any number of such names, empty for nobody."""

    name: str
    owner: str = ""
    is_account: bool = False

    @classmethod
    def of_address(cls, address: str) -> Self:
        """Count for an address, which is one of a site's."""
        return cls(counted_as(address), site_of(address))

    @classmethod
    def of_account(cls, account: str, job_id: str | None = None) -> Self:
        """Count for an account, or for what it calls its job."""
        if job_id is None:
            return cls(account, is_account=True)
        # Cut, because no field rule has seen the id yet and it is kept for as long as the window.
        return cls(f"{account}:{job_id[:_LONGEST_NAME]}", account, is_account=True)


@dataclass(slots=True)
class _Window:
    ends_ms: int
    owner: str
    used: int = 0


_Key = tuple[str, str]


class _Windows:
    """The windows of one kind of subjects. One that is open is never given up for another."""

    def __init__(self, capacity: int, per_owner: int) -> None:
        self._capacity = capacity
        self._per_owner = per_owner
        self._open: dict[_Key, _Window] = {}
        self._of_owner: dict[str, int] = {}
        # Buckets have windows of different lengths, so the order of opening is not that of ending.
        self._ends: list[tuple[int, _Key]] = []

    def __len__(self) -> int:
        return len(self._open)

    def find(self, bucket: Bucket, subject: Subject, now_ms: int) -> _Window:
        """Return the window of a subject; one that it shares, where there is no room for its own."""
        self._forget_ended(now_ms)
        key = (bucket.name, subject.name)
        window = self._open.get(key)
        if window is not None:
            return window
        # A subject without a window of its own is not refused, and shares what is left with its like: refusing it would
        # shut out whoever comes late, and making room would hand a full window back to whoever filled it.
        if subject.owner and self._of_owner.get(subject.owner, 0) >= self._per_owner:
            return self._find_shared((bucket.name, f"{subject.owner} and others"), bucket, now_ms)
        if len(self._open) >= self._capacity:
            # By a hash with a secret of the process, so that nobody can choose whose window to fill.
            return self._find_shared((bucket.name, f"#{hash(key) % _SHARED_WINDOWS}"), bucket, now_ms)
        return self._start(key, subject.owner, bucket, now_ms)

    def _find_shared(self, key: _Key, bucket: Bucket, now_ms: int) -> _Window:
        return self._open.get(key) or self._start(key, "", bucket, now_ms)

    def _start(self, key: _Key, owner: str, bucket: Bucket, now_ms: int) -> _Window:
        window = self._open[key] = _Window(now_ms + bucket.window_seconds * 1000, owner)
        heapq.heappush(self._ends, (window.ends_ms, key))
        if owner:
            self._of_owner[owner] = self._of_owner.get(owner, 0) + 1
        return window

    def _forget_ended(self, now_ms: int) -> None:
        while self._ends and self._ends[0][0] <= now_ms:
            _, key = heapq.heappop(self._ends)
            owner = self._open.pop(key).owner
            if owner:
                self._of_owner[owner] -= 1
                if not self._of_owner[owner]:
                    del self._of_owner[owner]


class RateLimiter:
    """Counts calls by bucket and subject. A window opens with its first call; what is over the limit is not counted."""

    def __init__(
        self, clock: Clock, *, enabled: bool, capacity: int = _CAPACITY, windows_per_owner: int = _PER_OWNER
    ) -> None:
        """`capacity` is how many subjects of a kind have windows of their own; those who come later share some."""
        self._clock = clock
        self._enabled = enabled
        # Apart, because addresses are for clients to choose and accounts are not: no flood of them touches an account.
        self._accounts = _Windows(capacity, windows_per_owner)
        self._addresses = _Windows(capacity, windows_per_owner)

    def __len__(self) -> int:
        return len(self._accounts) + len(self._addresses)

    def spend(self, bucket: Bucket, subject: Subject) -> None:
        """Count a call of `subject`, or refuse it with 429 when the window is full.

        The wait that the refusal names is 1 to `bucket.window_seconds` seconds.
        """
        if not self._enabled:
            return
        window = self._window(bucket, subject)
        self._refuse_full(bucket, window)
        window.used += 1

    def check(self, bucket: Bucket, subject: Subject) -> None:
        """Raise as `spend` does when the window is full, without counting."""
        if self._enabled:
            self._refuse_full(bucket, self._window(bucket, subject))

    def has_room(self, bucket: Bucket, subject: Subject) -> bool:
        """Tell whether a call of `subject` would be let in, without counting."""
        return not self._enabled or self._window(bucket, subject).used < bucket.limit

    def note(self, bucket: Bucket, subject: Subject) -> None:
        """Count a call of `subject` that is not refused for it."""
        if self._enabled:
            self._window(bucket, subject).used += 1

    def _refuse_full(self, bucket: Bucket, window: _Window) -> None:
        if window.used >= bucket.limit:
            left_ms = window.ends_ms - self._clock.now_ms()
            # Rounded up, and at least a second: who comes back after the wait must not be too early.
            raise rate_limit_exceeded(min(max(1, -(-left_ms // 1000)), bucket.window_seconds))

    def _window(self, bucket: Bucket, subject: Subject) -> _Window:
        windows = self._accounts if subject.is_account else self._addresses
        return windows.find(bucket, subject, self._clock.now_ms())
