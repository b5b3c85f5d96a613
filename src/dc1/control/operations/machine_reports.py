"""What daemons say of their machines beside heartbeats: readiness, benchmarks, events, and proofs of the GPU.

All of it is judged and kept for operators to see; none of it changes what a provider is given to do.
"""

from dc1.control.fleet.provider import Provider
from dc1.control.operations.event_budget import EventBudget
from dc1.domain.base.clock import Clock
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.providers import machine_grading
from dc1.domain.providers.challenges import Challenge, judge, new_challenge
from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.reports import EventSeverity, Facts
from dc1.domain.providers.verification import Assessment, Verdict, assess, compare
from dc1.storage.engine.database import Database
from dc1.storage.providers import challenges, daemon_events
from dc1.storage.providers.daemon_events import NewDaemonEvent


class MachineReports:
    """Takes what daemons checked, measured and solved."""

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

    async def verify(self, provider: Provider, said: Facts) -> Assessment:
        """Compare what a daemon says of its GPU with what it reported; a doubtful machine gets a challenge to solve."""
        assessment = assess(compare(provider.facts, said))
        if assessment.verdict is not Verdict.VERIFIED:
            now_ms = self._clock.now_ms()
            challenge = new_challenge(now_ms)
            await self._db.write(lambda conn: challenges.give(conn, provider.id, challenge, now_ms))
        return assessment

    async def pending_challenge(self, provider_id: int) -> Challenge | None:
        """Return what a machine has to solve, if anything; its time starts when this is first asked."""
        now_ms = self._clock.now_ms()
        # Daemons ask again and again, nearly always for nothing, and only a write waits for the one writer.
        if not await self._db.read(lambda conn: challenges.pending(conn, provider_id, now_ms)):
            return None
        return await self._db.write(lambda conn: challenges.fetch(conn, provider_id, now_ms))

    async def solve(
        self, provider_id: int, challenge_id: str, result_hash: str, elapsed_ms: float | None
    ) -> Assessment:
        """Judge a solution; whatever it is worth, the challenge is spent."""
        now_ms = self._clock.now_ms()
        # Taken out before it is judged, or a daemon could try answers until one fits.
        challenge = await self._db.write(lambda conn: challenges.take(conn, provider_id, challenge_id))
        return assess(judge(challenge, result_hash, elapsed_ms, now_ms))
