"""The server's clock from its start to its stop, and what it tells of the clocks that it does not follow."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from dc1.control.periodic import Periodic
from dc1.domain.base.clock import SystemClock, wall_ms
from dc1.storage.cluster import clocks
from dc1.storage.engine.database import Database

_log = structlog.get_logger(__name__)

_MACHINE_SECONDS = 1.0
_DATABASE_SECONDS = 10.0
_NOTE_SECONDS = 3600.0
_STEP_MS = 1_000
"""A clock that is set goes this far at once; what is less is drift."""

# As fast as NTP corrects a clock at most: no run is billed another second for it.
_SLEW_MICROSECONDS_A_SECOND = 500
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE = Path("/proc/self/ns/time")
_HINT = "Nothing is ended, billed or forgotten by it. Which clock is right is for you to see; DC1_CLOCK_RESET says how."

Read = Callable[[], Awaitable[int]]


class WatchedClock:
    """Another clock: it is followed while it drifts and `guides`, and told of once when it steps.

    Args:
        name: which clock that is, in the log.
        read: tells its time, in milliseconds since the epoch.
    """

    def __init__(self, clock: SystemClock, name: str, read: Read, *, guides: bool) -> None:
        self._clock = clock
        self._name = name
        self._read = read
        self._guides = guides
        self._ahead_ms = 0
        self._looked_ms = clock.now_ms()

    async def look(self) -> None:
        """Compare the clocks."""
        # Between two readings, so that a slow answer is no difference.
        before_ms = self._clock.now_ms()
        there_ms = await self._read()
        after_ms = self._clock.now_ms()
        ahead_ms = there_ms - (before_ms + after_ms) // 2
        uncertain_ms = after_ms - before_ms
        if abs(ahead_ms - self._ahead_ms) > _STEP_MS + uncertain_ms:
            seconds = {"by_seconds": (ahead_ms - self._ahead_ms) / 1000, "ahead_seconds": ahead_ms / 1000}
            _log.warning("clock_stepped", clock=self._name, **seconds, hint=_HINT)
            self._ahead_ms = ahead_ms
        elif self._guides and abs(ahead_ms) <= _STEP_MS:
            self._ahead_ms = 0
            self._slew(ahead_ms, before_ms)
        self._looked_ms = before_ms

    def _slew(self, ahead_ms: int, now_ms: int) -> None:
        most = (now_ms - self._looked_ms) * _SLEW_MICROSECONDS_A_SECOND // 1000
        self._clock.slew(max(-most, min(most, ahead_ms * 1000)))


class Timekeeping:
    """Sets a server's clock once, keeps how it goes for the next start, and watches the clocks beside it.

    Of servers that share a database each begins at the database's time. A server that starts again on a machine that
    did not boot meanwhile goes on as the one before it, wherever the machine's clock was set to: what is stored of
    runs was measured by that. `reset` begins anew.
    """

    def __init__(self, clock: SystemClock, database: Database, *, reset: bool = False) -> None:
        self._clock = clock
        self._db = database
        self._reset = reset
        self._boot = _boot()
        self._periodic = Periodic()

    async def set(self) -> None:
        """Set the clock; before anything asks it for the time."""
        if self._db.is_shared:
            there_ms = await self._database_now_ms()
            self._clock.continue_from(self._clock.booted_ms + there_ms - self._clock.now_ms())
        if self._boot is not None:
            known = await self._db.read(lambda conn: clocks.booted_ms(conn, self._boot or ""))
            if known is not None and not self._reset:
                self._clock.continue_from(known)

    async def start(self) -> None:
        """Begin to watch."""
        machine = WatchedClock(self._clock, "machine", _machine_now_ms, guides=not self._db.is_shared)
        steps = [(_MACHINE_SECONDS, machine.look)]
        if self._db.is_shared:
            database = WatchedClock(self._clock, "database", self._database_now_ms, guides=True)
            steps.append((_DATABASE_SECONDS, database.look))
        if self._boot is not None:
            await self._note()
            steps.append((_NOTE_SECONDS, self._note))
        self._periodic = Periodic(*steps)
        self._periodic.start()

    async def stop(self) -> None:
        """End."""
        await self._periodic.stop()

    async def _note(self) -> None:
        boot, booted_ms, now_ms = self._boot or "", self._clock.booted_ms, self._clock.now_ms()
        await self._db.write(lambda conn: clocks.note(conn, boot, booted_ms, now_ms))

    async def _database_now_ms(self) -> int:
        return await self._db.read(clocks.database_now_ms)


async def _machine_now_ms() -> int:
    return wall_ms()


def _boot() -> str | None:
    """Return which boot of which machine this is, or None where nobody says."""
    try:
        # A container may count from another moment than its machine.
        return f"{_BOOT_ID.read_text().strip()} {_TIME_NAMESPACE.readlink()}"
    except OSError:
        return None
