"""Which engines failed calls lately: they are given none for a while, then one at a time until one is answered.

What one renter's calls alone made of it keeps that renter's from an engine, and nobody else's: whoever finds a call of
which engines fail would take one after the other from everybody by three of them, each of them free.
"""

from collections import deque
from dataclasses import dataclass, field

from dc1.domain.base.clock import Clock
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import ErrorCategory, JobSource, JobStatus
from dc1.storage.jobs.job_records import JobRow

FAILURES = 3
"""So many within the window take an engine out."""

WINDOW_MS = 60_000
FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 300_000
_MOST_REMEMBERED = 10_000
EVERYBODY = 0
"""In place of a renter, whose ids begin with 1."""


@dataclass(slots=True)
class _Record:
    """What is known of an engine by the calls of one renter, or of all."""

    failed: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=FAILURES))
    """When calls failed, and whose they were."""

    pause_ms: int = 0
    out_until_ms: int = 0
    tried_ms: int | None = None
    """When the call was given that tries whether it is well again."""

    def note(self, now_ms: int, renter_id: int, most_of_renter: int) -> bool:
        """Take a failure, of each renter the latest ones, and tell whether there are enough of them now."""
        own = [each for each in self.failed if each[1] == renter_id]
        if len(own) >= most_of_renter:
            self.failed.remove(own[0])
        self.failed.append((now_ms, renter_id))
        return len(self.failed) == FAILURES and self.failed[0][0] > now_ms - WINDOW_MS

    def is_shunned(self, now_ms: int, longest_try_ms: int) -> bool:
        """Tell whether an engine is out, or is being tried."""
        if not self.pause_ms:
            return False
        is_tried = self.tried_ms is not None and now_ms < self.tried_ms + longest_try_ms
        return now_ms < self.out_until_ms or is_tried


class EngineHealth:
    """Failures by model and provider, in memory: every server finds out for itself."""

    def __init__(self, clock: Clock, longest_try_ms: int) -> None:
        """A call that tries an engine, and of which nothing is heard for `longest_try_ms`, keeps no other from it."""
        self._clock = clock
        self._longest_try_ms = longest_try_ms
        # By model and renter first, of whom there may be thousands: each call is looked up for its own and for all.
        self._records: dict[tuple[str, int], dict[int, _Record]] = {}
        self._count = 0

    def shunned(self, model: str, renter_id: int = EVERYBODY) -> frozenset[int]:
        """Return the providers whose engines should be given no call of a model now, by that renter if by any."""
        now_ms = self._clock.now_ms()
        return frozenset(
            provider_id
            for subject in (EVERYBODY, renter_id)
            for provider_id, record in self._records.get((model.lower(), subject), {}).items()
            if record.is_shunned(now_ms, self._longest_try_ms)
        )

    def given(self, provider_id: int, model: str, renter_id: int) -> None:
        """Note that an engine has a renter's call: of one that was out, whether it is well again hangs on it."""
        for record in self._known(provider_id, model, renter_id):
            if record.pause_ms:
                record.tried_ms = self._clock.now_ms()

    def judge(self, job: JobRow, provider_id: int) -> None:
        """Note what the end of an attempt says of the engine that had it."""
        if job.source is not JobSource.V1:
            return
        model = job.model or ""
        is_spared = job.error_category is ErrorCategory.ENGINE_BUSY
        if job.status == JobStatus.COMPLETED:
            self.answered(provider_id, model, job.renter_id)
        elif job.status == JobStatus.QUEUED or job.fault is Fault.PROVIDER or is_spared:
            # Put back, it was failed by its provider; one that is busy is nobody's fault, and has enough all the same.
            self.failed(provider_id, model, job.renter_id)
        else:
            self.left(provider_id, model, job.renter_id)

    def failed(self, provider_id: int, model: str, renter_id: int) -> None:
        """Note a call that an engine failed before its end."""
        now_ms = self._clock.now_ms()
        for subject, most_of_renter in ((renter_id, FAILURES), (EVERYBODY, FAILURES - 1)):
            record = self._record(provider_id, model.lower(), subject)
            is_worse, is_enough = record.tried_ms is not None, record.note(now_ms, renter_id, most_of_renter)
            # Calls that were under way when it was taken out tell nothing new.
            if is_worse or (is_enough and not record.pause_ms):
                record.pause_ms = min(max(record.pause_ms * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
                record.out_until_ms = now_ms + record.pause_ms
                record.tried_ms = None

    def answered(self, provider_id: int, model: str, renter_id: int) -> None:
        """Note a call that an engine answered: it is well."""
        for subject in (EVERYBODY, renter_id):
            records = self._records.get((model.lower(), subject), {})
            if records.pop(provider_id, None) is not None:
                self._count -= 1
                if not records:
                    del self._records[model.lower(), subject]

    def left(self, provider_id: int, model: str, renter_id: int) -> None:
        """Note a call whose end says nothing of the engine: the next one tries it."""
        for record in self._known(provider_id, model, renter_id):
            record.tried_ms = None

    def _known(self, provider_id: int, model: str, renter_id: int) -> list[_Record]:
        found = (self._records.get((model.lower(), subject), {}) for subject in (EVERYBODY, renter_id))
        return [records[provider_id] for records in found if provider_id in records]

    def _record(self, provider_id: int, model: str, subject: int) -> _Record:
        if self._count >= _MOST_REMEMBERED:
            # What is forgotten is found out again by three calls.
            self._records.clear()
            self._count = 0
        records = self._records.setdefault((model, subject), {})
        if provider_id not in records:
            records[provider_id] = _Record()
            self._count += 1
        return records[provider_id]
