"""What happens to renters' data because time passes: notes of used keys are stored, old data is erased."""

from functools import partial

from dc1.control.operations.credentials import Credentials
from dc1.control.periodic import Periodic
from dc1.domain.base.clock import DELIVERIES_KEPT_MS, Clock
from dc1.storage.accounts import data_erasure, keys, renters, webhooks
from dc1.storage.engine.database import Database
from dc1.storage.engine.purging import forget_all

_USE_SECONDS = 30.0
_ERASURE_SECONDS = 60.0


class RenterUpkeep:
    """Timers of renters' accounts."""

    def __init__(self, db: Database, clock: Clock, credentials: Credentials) -> None:
        self._db = db
        self._clock = clock
        self._credentials = credentials
        self._periodic = Periodic((_USE_SECONDS, self.store_key_use), (_ERASURE_SECONDS, self.erase))

    async def start(self) -> None:
        """Begin."""
        self._periodic.start()

    async def stop(self) -> None:
        """End, and store which keys were used."""
        await self._periodic.stop()
        await self.store_key_use()

    async def store_key_use(self) -> None:
        """Store when scoped keys were used since the last time."""
        used = self._credentials.take_used()
        if used:
            await self._db.write(lambda conn: keys.touch_many(conn, used))

    async def erase(self) -> None:
        """Erase the personal data of accounts deleted long ago, and old entries of delivery logs."""
        now_ms = self._clock.now_ms()
        for renter_id in await self._db.read(lambda conn: renters.due_for_erasure(conn, now_ms)):
            await self._erase(renter_id, now_ms)
        await forget_all(self._db, lambda conn, limit: webhooks.purge(conn, now_ms - DELIVERIES_KEPT_MS, limit))

    async def _erase(self, renter_id: int, now_ms: int) -> None:
        # A few jobs a transaction: nobody waits while the logs of many are erased. The account stays due until the last
        # is done.
        erased: int | None = 0
        while erased is not None:
            step = partial(data_erasure.forget_work, renter_id=renter_id, now_ms=now_ms, after_id=erased)
            erased = await self._db.write(step)
        await self._db.write(partial(renters.erase, renter_id=renter_id))
