"""The daemons' streams that this server holds, as the others read it."""

from dc1.storage.cluster import replicas
from dc1.storage.cluster.replicas import StreamChange
from dc1.storage.engine.database import Database


class HeldStreams:
    """Which streams opened and ended here, until that is stored."""

    def __init__(self, db: Database, replica_id: str) -> None:
        self._db = db
        self._replica_id = replica_id
        self._unstored: dict[int, StreamChange] = {}
        self._opened_ms: dict[int, int] = {}

    def opened(self, provider_id: int, opened_ms: int, instance: str) -> None:
        """Note a stream that opened at a time of the database's clock."""
        self._opened_ms[provider_id] = opened_ms
        self._unstored[provider_id] = StreamChange(provider_id, opened_ms, None, instance)

    def closed(self, provider_id: int, lost_ms: int) -> None:
        """Note that the stream ended."""
        opened_ms = self._opened_ms.pop(provider_id, lost_ms)
        self._unstored[provider_id] = StreamChange(provider_id, opened_ms, lost_ms)

    def opened_ms(self, provider_id: int) -> int:
        """Return when the provider's stream opened here, 0 where there is none."""
        return self._opened_ms.get(provider_id, 0)

    async def store(self) -> None:
        """Store every stream that opened or ended since the last time, at once."""
        batch, self._unstored = list(self._unstored.values()), {}
        if not batch:
            return
        try:
            await self._db.write(lambda conn: replicas.store_streams(conn, self._replica_id, batch))
        except BaseException:
            self._unstored = {item.provider_id: item for item in batch} | self._unstored
            raise
