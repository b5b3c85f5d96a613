"""Telemetry on its way to storage: folded by provider and minute, flushed for many providers at once."""

from itertools import islice

from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.telemetry import MINUTE_MS, Period, Rollup, has_readings
from dc1.storage.providers import telemetry


class Telemetry:
    """The minutes that are not stored yet."""

    def __init__(self) -> None:
        self._open: dict[int, dict[int, Rollup]] = {}
        self._flushing: dict[int, dict[int, Rollup]] = {}

    def fold(self, provider_id: int, gpu_status: JsonObject, at_ms: int) -> None:
        """Add what a daemon measured."""
        if has_readings(gpu_status):
            _rollup(self._open, at_ms - at_ms % MINUTE_MS, provider_id).fold(gpu_status)

    def take(self, before_ms: int, most: int) -> telemetry.Minutes:
        """Return some of a minute that began before a time; they are taken again until `flushed` is called."""
        # Kept apart until they are stored: a flush that fails is repeated with the same, and what is measured
        # meanwhile is not counted with them.
        due = min(self._open, default=before_ms)
        if not self._flushing and due < before_ms:
            minute = self._open[due]
            self._flushing = {due: {id_: minute.pop(id_) for id_ in list(islice(minute, most))}}
            if not minute:
                del self._open[due]
        return self._flushing

    def flushed(self) -> None:
        """Forget what was taken: it is stored."""
        self._flushing = {}

    def of(self, provider_id: int, period: Period, now_ms: int) -> dict[int, Rollup]:
        """Return a provider's share of the spans of a period that ends now, by their first millisecond."""
        spans: dict[int, Rollup] = {}
        for minutes in (self._flushing, self._open):
            for minute_ms, rollups in minutes.items():
                if minute_ms >= period.first_ms(now_ms) and provider_id in rollups:
                    spans.setdefault(period.start_of(minute_ms), Rollup()).add(rollups[provider_id])
        return spans


def _rollup(minutes: dict[int, dict[int, Rollup]], minute_ms: int, provider_id: int) -> Rollup:
    return minutes.setdefault(minute_ms, {}).setdefault(provider_id, Rollup())
