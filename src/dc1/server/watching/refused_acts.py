"""Refusals of those who called as admins and were not let in: one entry of the audit trail for many of them."""

from dataclasses import dataclass, replace

import structlog

from dc1.control.periodic import Periodic
from dc1.domain.base.clock import Clock
from dc1.server.listening.addresses import counted_as
from dc1.storage.admin import audit
from dc1.storage.admin.audit import NewAuditEntry, Tally
from dc1.storage.engine.database import Database

MOST_ENTRIES = 10
"""Entries that begin within a minute; whoever else is refused in it shares one for each reason."""

NOBODY = "none"
"""The actor of calls without a token."""

SEVERAL = "several"
"""The actor of an entry whose calls had different tokens, and the address of those who share one."""

_MINUTE_MS = 60_000
_TALLY_SECONDS = 5.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Running:
    """An entry whose refusals are still counted. `row_id` is None until it is stored, and stays so if that failed."""

    began_ms: int
    actor: str
    count: int = 1
    row_id: int | None = None
    stored: tuple[str, int] = ("", 0)

    @property
    def is_behind(self) -> bool:
        """Whether what is stored is not what is known."""
        return self.stored != (self.actor, self.count)


class RefusedActs:
    """Counts refusals by address and reason: the first of a minute is stored at once, how many followed soon after.

    Anybody can cause them, so that an entry each would be a table for anybody to fill.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._running: dict[tuple[str, str], _Running] = {}
        # Those of earlier minutes whose last count is not stored yet.
        self._ended: list[_Running] = []
        self._tally = Periodic((_TALLY_SECONDS, self.store_counts))

    async def start(self) -> None:
        """Begin to store counts."""
        self._tally.start()

    async def stop(self) -> None:
        """End, and store what is left."""
        await self._tally.stop()
        await self.store_counts()

    async def note(self, refusal: NewAuditEntry) -> None:
        """Count a refusal whose `detail` is its address; the first of its kind is in the trail when this returns."""
        self._end_old(refusal.at_ms)
        refusal = replace(refusal, detail=counted_as(refusal.detail or ""))
        key = (refusal.detail or "", refusal.reason or "")
        if key not in self._running and len(self._running) >= MOST_ENTRIES:
            refusal = replace(refusal, actor=SEVERAL, detail=SEVERAL)
            key = (SEVERAL, refusal.reason or "")
        running = self._running.get(key)
        if running is not None:
            running.count += 1
            if running.actor != refusal.actor:
                running.actor = SEVERAL
            return
        running = self._running[key] = _Running(refusal.at_ms, refusal.actor, stored=(refusal.actor, 1))
        try:
            running.row_id = await self._database.write(lambda conn: audit.begin(conn, refusal))
        except Exception as error:
            # The caller is refused either way, and hears why: a trail that cannot be written is told in the log.
            _log.warning("refusal_not_entered", reason=refusal.reason, fault=type(error).__name__)

    async def store_counts(self) -> None:
        """Store how many refusals each entry stands for by now."""
        self._end_old(self._clock.now_ms())
        changed = [
            running
            for running in (*self._ended, *self._running.values())
            if running.row_id is not None and running.is_behind
        ]
        if changed:
            tallies = [Tally(running.row_id or 0, running.actor, running.count) for running in changed]
            await self._database.write(lambda conn: audit.tally(conn, tallies))
            for running, tally in zip(changed, tallies, strict=True):
                running.stored = (tally.actor, tally.calls)
        # One that grew meanwhile stays for the next round; one that never got in has no row to be counted in.
        self._ended = [running for running in self._ended if running.row_id is not None and running.is_behind]

    def _end_old(self, now_ms: int) -> None:
        for key, running in list(self._running.items()):
            if now_ms - running.began_ms >= _MINUTE_MS:
                self._ended.append(self._running.pop(key))
