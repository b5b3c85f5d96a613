"""Which engines failed calls lately: they are given none for a while, then one at a time until one is answered."""

from collections import deque
from dataclasses import dataclass, field

from dc1.domain.base.clock import Clock

FAILURES = 3
"""So many within the window take an engine out."""

WINDOW_MS = 60_000
FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 300_000
_MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class _Record:
    failed_ms: deque[int] = field(default_factory=lambda: deque(maxlen=FAILURES))
    pause_ms: int = 0
    out_until_ms: int = 0
    tried_ms: int | None = None
    """When the call was given that tries whether it is well again."""


class EngineHealth:
    """Failures by model and provider, in memory: every server finds out for itself."""

    def __init__(self, clock: Clock, longest_try_ms: int) -> None:
        """A call that tries an engine, and of which nothing is heard for `longest_try_ms`, keeps no other from it."""
        self._clock = clock
        self._longest_try_ms = longest_try_ms
        self._records: dict[str, dict[int, _Record]] = {}
        self._count = 0

    def shunned(self, model: str) -> frozenset[int]:
        """Return the providers whose engines should be given no call of a model now."""
        now_ms = self._clock.now_ms()
        records = self._records.get(model.lower(), {})
        return frozenset(provider_id for provider_id, record in records.items() if self._is_shunned(record, now_ms))

    def _is_shunned(self, record: _Record, now_ms: int) -> bool:
        if not record.pause_ms:
            return False
        is_tried = record.tried_ms is not None and now_ms < record.tried_ms + self._longest_try_ms
        return now_ms < record.out_until_ms or is_tried

    def given(self, provider_id: int, model: str) -> None:
        """Note that an engine has a call: of one that was out, whether it is well again hangs on it."""
        record = self._records.get(model.lower(), {}).get(provider_id)
        if record is not None and record.pause_ms:
            record.tried_ms = self._clock.now_ms()

    def failed(self, provider_id: int, model: str) -> None:
        """Note a call that an engine failed before its end."""
        now_ms = self._clock.now_ms()
        record = self._record(provider_id, model.lower())
        record.failed_ms.append(now_ms)
        is_worse = record.tried_ms is not None
        has_window = len(record.failed_ms) == FAILURES and record.failed_ms[0] > now_ms - WINDOW_MS
        # Calls that were under way when it was taken out tell nothing new.
        if is_worse or (has_window and not record.pause_ms):
            record.pause_ms = min(max(record.pause_ms * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
            record.out_until_ms = now_ms + record.pause_ms
            record.tried_ms = None

    def answered(self, provider_id: int, model: str) -> None:
        """Note a call that an engine answered: it is well."""
        records = self._records.get(model.lower(), {})
        if records.pop(provider_id, None) is not None:
            self._count -= 1
            if not records:
                del self._records[model.lower()]

    def left(self, provider_id: int, model: str) -> None:
        """Note a call whose end says nothing of the engine: the next one tries it."""
        record = self._records.get(model.lower(), {}).get(provider_id)
        if record is not None:
            record.tried_ms = None

    def _record(self, provider_id: int, model: str) -> _Record:
        if self._count >= _MOST_REMEMBERED:
            # What is forgotten is found out again by three calls.
            self._records.clear()
            self._count = 0
        records = self._records.setdefault(model, {})
        if provider_id not in records:
            records[provider_id] = _Record()
            self._count += 1
        return records[provider_id]
