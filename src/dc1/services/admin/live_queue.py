"""The queue as operators watch it."""

from collections.abc import AsyncIterator

from dc1.control.control_plane import ControlPlane
from dc1.domain.base.clock import iso
from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.services.api.live_stream import LiveSource


class LiveQueue(LiveSource):
    """What one watcher of the queue is told, all of it from memory."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._told: JsonObject = {}
        self._told_ms = plane.clock.now_ms()
        watch = plane.job_watch
        self._counted = (watch.started, watch.ended)

    async def snapshot(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the queue as it is."""
        self._told = self._state()
        yield self._event()

    async def changes(self) -> list[tuple[str, str]]:
        """Return the queue as it is, if anything about it is different."""
        state, watch = self._state(), self._plane.job_watch
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

    def _state(self) -> JsonObject:
        leases, queue = self._plane.leases, self._plane.dispatcher.queue
        offered, running = self._plane.replicas.jobs_elsewhere()
        return {
            "queued": len(queue),
            "offered": len(leases) - leases.running + offered,
            "running": leases.running + running,
            "by_gpu_type": self._waiting(),
        }

    def _waiting(self) -> list[JsonValue]:
        now_ms = self._plane.clock.now_ms()
        return [
            {"gpu_type": gpu_type, "depth": depth, "oldest_seconds": max(0, now_ms - oldest_ms) // 1000}
            for gpu_type, depth, oldest_ms in self._plane.dispatcher.queue.by_gpu_type()
        ]
