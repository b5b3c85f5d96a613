"""What is kept of the past for a time only: the audit trail, keys that have ended, and what jobs were about."""

from functools import partial

from dc1.control.periodic import Periodic
from dc1.domain.base.clock import DAY_MS, ENDED_KEYS_KEPT_MS, REFUSED_ACTS_KEPT_MS, Clock
from dc1.storage.accounts import data_erasure, keys
from dc1.storage.admin import audit
from dc1.storage.engine.database import Database
from dc1.storage.engine.purging import forget_all

_SECONDS = 60.0
_JOBS_AT_ONCE = 25
_STEPS = 200
"""Of erasing what jobs were about, in a round: others write between two, and no market has as many calls a minute."""


class RecordsUpkeep:
    """Forgets records once they are as old as anybody may want to look back."""

    def __init__(self, db: Database, clock: Clock, *, audit_days: int, documents_days: int) -> None:
        """Keep the audit trail, and what jobs were about, for so many days; of the second 0 is for ever."""
        self._db = db
        self._clock = clock
        self._audit_ms = audit_days * DAY_MS
        self._documents_ms = documents_days * DAY_MS
        self._periodic = Periodic((_SECONDS, self.forget), (_SECONDS, self.erase))

    async def start(self) -> None:
        """Begin."""
        self._periodic.start()

    async def stop(self) -> None:
        """End."""
        await self._periodic.stop()

    async def forget(self) -> None:
        """Delete what is too old."""
        now_ms = self._clock.now_ms()

        # A refusal is never kept for longer than the acts among which it stands.
        refused_ms = min(self._audit_ms, REFUSED_ACTS_KEPT_MS)
        acts_before_ms, refused_before_ms = now_ms - self._audit_ms, now_ms - refused_ms
        await forget_all(self._db, lambda conn, limit: audit.purge(conn, acts_before_ms, refused_before_ms, limit))
        await forget_all(self._db, lambda conn, limit: keys.purge(conn, now_ms - ENDED_KEYS_KEPT_MS, limit))

    async def erase(self) -> None:
        """Erase what was sent with jobs that ended long ago, their results and their logs; their bills stay."""
        if not self._documents_ms:
            return
        now_ms = self._clock.now_ms()
        step = partial(
            data_erasure.forget_old_work,
            ended_before_ms=now_ms - self._documents_ms,
            now_ms=now_ms,
            limit=_JOBS_AT_ONCE,
        )
        for _ in range(_STEPS):
            if not await self._db.write(step):
                return
