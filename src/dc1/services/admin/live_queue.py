"""The queue as operators watch it."""

from collections.abc import AsyncIterator

from dc1.control.control_plane import ControlPlane
from dc1.control.shared_reading import SharedReading
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.services.api.live_stream import LiveSource
from dc1.storage.money import counters

_CHARGES_SECONDS = 10.0
"""Between two readings of what was charged: the database is asked so often, whoever watches and whatever happens."""


class Charges:
    """What the market has charged, read once for all who watch."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._charged = SharedReading(self._read)

    async def now(self) -> JsonObject:
        """Return it as the fields of a QueueEvent, as it was some seconds ago at most."""
        return await self._charged.now(_CHARGES_SECONDS)

    async def _read(self) -> JsonObject:
        now_ms = self._plane.clock.now_ms()
        always, today = await self._plane.db.read(lambda conn: (counters.read(conn), counters.read_day(conn, now_ms)))
        return {"charged_today_halala": today.charged_halala, "charged_total_halala": always.charged_halala}


class LiveQueue(LiveSource):
    """What one watcher of the queue is told, from memory but for what was charged."""

    def __init__(self, plane: ControlPlane, charges: Charges) -> None:
        self._plane = plane
        self._charges = charges
        self._told: JsonObject = {}
        self._told_ms = plane.clock.now_ms()
        watch = plane.job_watch
        self._counted = (watch.started, watch.ended)

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the queue as it is."""
        self._told = await self._state()
        yield self._event()

    async def changes(self) -> list[tuple[str, str]]:
        """Return the queue as it is, if anything about it is different."""
        state, watch = await self._state(), self._plane.job_watch
        if state == self._told and self._counted == (watch.started, watch.ended):
            return []
        self._told = state
        return [self._event()]

    def _event(self) -> tuple[str, str]:
        now_ms, watch = self._plane.clock.now_ms(), self._plane.job_watch
        started, ended = self._counted
        data: JsonObject = {
            **self._told,
            "started": watch.started - started,
            "ended": watch.ended - ended,
            "interval_seconds": (now_ms - self._told_ms) / 1000,
            "ts": iso(now_ms),
        }
        self._told_ms, self._counted = now_ms, (watch.started, watch.ended)
        return "queue", compact(data)

    async def _state(self) -> JsonObject:
        charged = await self._charges.now()
        leases, queue = self._plane.leases, self._plane.dispatcher.queue
        offered, running = self._plane.replicas.jobs_elsewhere()
        return {
            "queued": len(queue),
            "offered": len(leases) - leases.running + offered,
            "running": leases.running + running,
            "by_gpu_type": self._waiting(),
            "providers_registered": len(self._plane.fleet),
            "providers_online": self._plane.fleet.lists.online(),
            **charged,
        }

    def _waiting(self) -> list[JsonValue]:
        now_ms = self._plane.clock.now_ms()
        return [
            {"gpu_type": gpu_type, "depth": depth, "oldest_seconds": max(0, now_ms - oldest_ms) // 1000}
            for gpu_type, depth, oldest_ms in self._plane.dispatcher.queue.by_gpu_type()
        ]
