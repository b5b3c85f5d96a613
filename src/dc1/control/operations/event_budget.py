"""How much a machine may have stored of what it says of itself."""

import json
from dataclasses import dataclass

from dc1.domain.base.clock import DAY_MS, Clock
from dc1.domain.base.json_types import JsonValue

_MOST_EVENTS = 1_000
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class _Day:
    """What was stored of one machine since its day began, with the first event of it."""

    ends_ms: int
    events: int = 0
    size_bytes: int = 0
    is_cut: bool = False


class EventBudget:
    """A thousand events and 4 MiB of details a day for each machine, counted in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # One entry an approved provider at the most: for others nothing is counted, as nothing is stored.
        self._days: dict[int, _Day] = {}

    def spend(self, provider_id: int, details: JsonValue) -> bool:
        """Count an event, and tell whether it is to be stored."""
        day, size_bytes = self._day(provider_id), len(json.dumps(details))
        if day.is_cut or day.events >= _MOST_EVENTS or day.size_bytes + size_bytes > _MOST_BYTES:
            return False
        day.events += 1
        day.size_bytes += size_bytes
        return True

    def cut(self, provider_id: int) -> bool:
        """Store nothing more today, and tell whether that is new; a smaller event must not slip in after the cut."""
        day = self._day(provider_id)
        was_cut, day.is_cut = day.is_cut, True
        return not was_cut

    def _day(self, provider_id: int) -> _Day:
        now_ms = self._clock.now_ms()
        day = self._days.get(provider_id)
        if day is None or now_ms >= day.ends_ms:
            day = self._days[provider_id] = _Day(now_ms + DAY_MS)
        return day
