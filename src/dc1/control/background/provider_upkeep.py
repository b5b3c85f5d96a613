"""What happens to providers' accounts because time passes: rotated keys end, old data is erased."""

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.loading import provider_from_row
from dc1.control.periodic import Periodic
from dc1.control.scheduling.sessions import EndReason, Sessions
from dc1.domain.access.keys import KeyRole
from dc1.domain.base.clock import DAEMON_EVENTS_KEPT_MS, Clock
from dc1.storage.accounts import keys
from dc1.storage.engine.database import Database
from dc1.storage.engine.purging import forget_all
from dc1.storage.providers import daemon_events, providers

_KEYS_SECONDS = 1.0
_ERASURE_SECONDS = 60.0


class ProviderUpkeep:
    """Timers of providers' accounts."""

    def __init__(self, db: Database, clock: Clock, fleet: Fleet, sessions: Sessions) -> None:
        self._db = db
        self._clock = clock
        self._fleet = fleet
        self._sessions = sessions
        self._keys_checked_ms = clock.now_ms()
        self._periodic = Periodic((_KEYS_SECONDS, self.end_expired_streams), (_ERASURE_SECONDS, self.erase))

    async def start(self) -> None:
        """Begin."""
        self._periodic.start()

    async def stop(self) -> None:
        """End."""
        await self._periodic.stop()

    async def end_expired_streams(self) -> None:
        """End the streams here that were opened with a key whose grace has ended since the last call."""
        now_ms, since_ms = self._clock.now_ms(), self._keys_checked_ms
        if not len(self._sessions):
            self._keys_checked_ms = now_ms
            return
        expired = await self._db.read(lambda conn: keys.expired_between(conn, KeyRole.PROVIDER, since_ms, now_ms))
        # Only once it was read: a span whose reading failed is asked for again.
        self._keys_checked_ms = now_ms
        for session in self._sessions:
            if session.key_id in expired:
                session.end(EndReason.ACCESS_REVOKED)

    async def erase(self) -> None:
        """Erase the personal data of accounts deleted long ago, and old events of daemons."""
        now_ms = self._clock.now_ms()
        erased = await self._db.write(lambda conn: providers.erase_due(conn, now_ms))
        for row in erased:
            self._fleet.follow(provider_from_row(row), here=False, decisions=self._fleet.decisions)
        old_ms = now_ms - DAEMON_EVENTS_KEPT_MS
        await forget_all(self._db, lambda conn, limit: daemon_events.purge(conn, old_ms, limit))
