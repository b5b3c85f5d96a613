"""What daemons say of their machines beside heartbeats: readiness, benchmarks and events.

All of it is judged and kept for operators to see; none of it changes what a provider is given to do.
"""

from dc1.control.fleet.provider import Provider
from dc1.control.operations.event_budget import EventBudget
from dc1.domain.base.clock import Clock
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.providers import machine_grading
from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.reports import EventSeverity
from dc1.storage.engine.database import Database
from dc1.storage.providers import daemon_events
from dc1.storage.providers.daemon_events import NewDaemonEvent


class MachineReports:
    """Takes what daemons checked, measured and noticed."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._budget = EventBudget(clock)

    async def readiness(self, provider: Provider, checks: JsonObject, daemon_version: str | None) -> bool:
        """Keep a daemon's checks of its machine, and tell whether it is ready by them."""
        ready = machine_grading.is_ready(checks)
        details: JsonObject = {"checks": checks, "daemon_version": daemon_version}
        await self.event(provider, "readiness", EventSeverity.INFO if ready else EventSeverity.WARNING, details)
        return ready

    async def benchmark(self, provider: Provider, tflops: float, vram_gb: float, measured: JsonObject) -> str:
        """Keep what a benchmark measured, and return the grade of the machine by it."""
        tier = machine_grading.benchmark_grade(tflops, vram_gb)
        await self.event(provider, "benchmark", EventSeverity.INFO, {**measured, "tier": tier})
        return tier

    async def event(self, provider: Provider, event_type: str, severity: EventSeverity, details: JsonValue) -> None:
        """Keep something that happened on the machine of an approved provider, while its day's budget lasts.

        What is over the budget leaves one event that says so.
        """
        # Anybody may register, so nothing is kept of who was not let in.
        if provider.approval is not Approval.APPROVED:
            return
        if not self._budget.spend(provider.id, details):
            if not self._budget.cut(provider.id):
                return
            event_type, severity = "events_cut", EventSeverity.WARNING
            details = {"message": "Events beyond a thousand or 4 MiB a day are not stored"}
        event = NewDaemonEvent(provider.id, event_type, severity, details, self._clock.now_ms())
        await self._db.write(lambda conn: daemon_events.record(conn, event))
