"""Time as the rules see it, integer epoch milliseconds in UTC, and how long what nobody needs any more is kept."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
DAY_MS = 86_400_000

ERASED_AFTER_MS = 30 * DAY_MS
"""How long after its deletion the personal data of an account is erased."""

DELIVERIES_KEPT_MS = 30 * DAY_MS
"""How long a renter can see what was sent to their webhook address."""

REFUSED_ACTS_KEPT_MS = 90 * DAY_MS
"""How long an admin can see who came as one and was not let in; anybody can, so that it is not for the setting."""

ENDED_KEYS_KEPT_MS = 90 * DAY_MS
"""How long an owner can see a key that was stopped or ran out."""

DAEMON_EVENTS_KEPT_MS = 30 * DAY_MS
"""How long an admin can see what daemons told of themselves."""


class Clock(Protocol):
    """Tells the present time."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        ...


class SystemClock:
    """The time since the epoch, which begins at the machine's wall clock and goes on evenly whatever is done to that.

    A wall clock that is set two days ahead ends no lease, bills nobody and lets no key run out. Time in which the
    machine sleeps counts, for the jobs of others went on.
    """

    def __init__(self) -> None:
        self._booted_ns = wall_ms() * 1_000_000 - _since_boot_ns()

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return (self._booted_ns + _since_boot_ns()) // 1_000_000

    @property
    def booted_ms(self) -> int:
        """When the machine booted, by this clock: the one number in which two clocks of a machine can differ."""
        return self._booted_ns // 1_000_000

    def continue_from(self, booted_ms: int) -> None:
        """Go on as the clock did that told this number."""
        self._booted_ns = booted_ms * 1_000_000

    def slew(self, microseconds: int) -> None:
        """Go forward by so little that it makes no difference to what is measured; a negative number goes back."""
        self._booted_ns += microseconds * 1_000


def wall_ms() -> int:
    """Return what the machine's wall clock says, in milliseconds since the epoch; it may step."""
    return time.time_ns() // 1_000_000


def _since_boot_ns() -> int:
    # CLOCK_MONOTONIC stands still while the machine sleeps.
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def to_datetime(ms: int) -> datetime:
    """Return epoch milliseconds as an aware UTC datetime, exact to the millisecond."""
    return _EPOCH + ms * _MILLISECOND


def iso(ms: int) -> str:
    """Write epoch milliseconds as ISO-8601, always with milliseconds and `Z`."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


def time_text(ms: int | None) -> str | None:
    """Do the same with a time that there may not be."""
    return None if ms is None else iso(ms)


# A page of a job's log names the same few seconds a thousand times.
@lru_cache(maxsize=4096)
def _second(epoch_seconds: int) -> str:
    return to_datetime(epoch_seconds * 1000).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso(text: str) -> int:
    """Read an ISO-8601 time as epoch milliseconds; a time without an offset is UTC.

    Raises ValueError when `text` is not a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def day_start_ms(now_ms: int) -> int:
    """Return the start of the UTC day that contains `now_ms`."""
    # The epoch began at midnight, and epoch time knows no leap seconds.
    return now_ms - now_ms % DAY_MS


def next_day_start_ms(now_ms: int) -> int:
    """Return the start of the UTC day after the one that contains `now_ms`."""
    return day_start_ms(now_ms) + DAY_MS


def week_start_ms(now_ms: int) -> int:
    """Return the start of the UTC week, which begins on Monday, that contains `now_ms`."""
    return day_start_ms(now_ms) - to_datetime(now_ms).weekday() * DAY_MS


def month_start_ms(now_ms: int) -> int:
    """Return the start of the UTC month that contains `now_ms`."""
    return _month_of_day(day_start_ms(now_ms))


@lru_cache(maxsize=64)
def _month_of_day(day_ms: int) -> int:
    # Asked for four times a job, and nearly always of today.
    first = to_datetime(day_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first - _EPOCH) // _MILLISECOND


def next_month_start_ms(now_ms: int) -> int:
    """Return the start of the UTC month after the one that contains `now_ms`."""
    # 32 days after its start every month has ended.
    return month_start_ms(month_start_ms(now_ms) + 32 * DAY_MS)
