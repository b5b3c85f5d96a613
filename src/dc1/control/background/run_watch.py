"""What cards go through under each run, gathered from reports and kept with the job."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.leases import Lease, Leases
from dc1.domain.gpus.run_conditions import RunConditions
from dc1.storage.jobs.jobs import StoredConditions

_STORED_EVERY_MS = 30_000
"""How often a run that only goes on is stored; what happens to its cards is stored at once."""


@dataclass(slots=True)
class _WatchedRun:
    lease: Lease
    conditions: RunConditions = field(default_factory=RunConditions)
    noted_ms: int = 0
    stored_ms: int = 0
    is_over: bool = False


class RunWatch:
    """Follows the runs of providers that report, those included that began and ended between two flushes."""

    def __init__(self, fleet: Fleet, leases: Leases) -> None:
        self._fleet = fleet
        self._leases = leases
        self._runs: dict[tuple[int, int], _WatchedRun] = {}

    def note(self, providers: Iterable[Provider]) -> None:
        """Take what providers reported into account for what runs there."""
        for provider in providers:
            # Nearly all of a large fleet is idle, or has no card that tells anything.
            if provider.occupied and provider.cards.heard_ms:
                for lease in self._leases.of_provider(provider.id):
                    if lease.running:
                        self._watch(lease)
        for lease in self._leases.take_ended():
            self._watch(lease)
        for run in self._runs.values():
            self._note(run)
            # As of now, when all that ended are known: one that ends while others are stored is told of with the next.
            run.is_over = not (self._leases.is_current(run.lease) and run.lease.running)

    def _watch(self, lease: Lease) -> None:
        self._runs.setdefault((lease.row_id, lease.attempt), _WatchedRun(lease))

    def _note(self, run: _WatchedRun) -> None:
        provider = self._fleet.get(run.lease.provider_id)
        if provider is None:
            return
        cards = provider.cards
        # What was reported before it began says nothing of it.
        began_ms = run.lease.assignment.job.started_at_ms or 0
        if cards.heard_ms >= began_ms and cards.heard_ms > run.noted_ms and provider.gpu_status is not None:
            run.noted_ms = cards.heard_ms
            run.conditions.note(provider.gpu_status, cards.clocks)
        if cards.failed_at_ms is not None and cards.failed_at_ms >= began_ms:
            run.conditions.lost_gpu()

    def due(self, now_ms: int) -> list[StoredConditions]:
        """Return what is to be stored, the same until reports are taken into account again."""
        return [
            StoredConditions(*key, run.conditions.to_json(run.lease.attempt))
            for key, run in self._runs.items()
            if self._is_due(run, now_ms)
        ]

    def stored(self, now_ms: int) -> None:
        """Note that what was due is stored, and forget the runs that are over."""
        for key, run in list(self._runs.items()):
            if self._is_due(run, now_ms):
                run.conditions.stored()
                run.stored_ms = now_ms
            if run.is_over:
                del self._runs[key]

    def _is_due(self, run: _WatchedRun, now_ms: int) -> bool:
        if run.conditions.is_stored:
            return False
        return run.is_over or run.conditions.is_urgent or now_ms - run.stored_ms >= _STORED_EVERY_MS
