"""A machine's own median clock under load, against which a run's clock is held."""

from collections.abc import Iterable, Sequence
from statistics import median

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_found
from dc1.domain.gpus.card_health import sm_clock_mhz

LOADED_PCT = 50
"""Utilisation from which a clock tells what the card can do; of an idle one it tells nothing."""

READINGS_A_SAMPLE = 20
LEAST_SAMPLES = 5
MOST_SAMPLES = 100


def loaded_clock_mhz(cards: Iterable[JsonObject]) -> float | None:
    """Return the mean clock of those of some cards that are at work, None where none is or none says it."""
    clocks = [
        clock
        for card in cards
        if (as_found(card.get("gpu_util_pct")) or 0) >= LOADED_PCT and (clock := sm_clock_mhz(card)) is not None
    ]
    return sum(clocks) / len(clocks) if clocks else None


class ClockHistory:
    """Clocks under load, newest last, each the mean of some readings: so many that one run is not all of them."""

    def __init__(self, samples: Sequence[JsonValue] | None = None) -> None:
        """Go on from samples as they were stored."""
        self.samples = [sample for sample in samples or () if isinstance(sample, int)][-MOST_SAMPLES:]
        self._sum = 0.0
        self._readings = 0

    def note(self, clock_mhz: float) -> None:
        """Add a reading."""
        self._sum += clock_mhz
        self._readings += 1
        if self._readings == READINGS_A_SAMPLE:
            self.samples = [*self.samples, round(self._sum / self._readings)][-MOST_SAMPLES:]
            self._sum, self._readings = 0.0, 0

    @property
    def median_mhz(self) -> float | None:
        """The median, None until there are enough samples to call it the machine's own."""
        return median(self.samples) if len(self.samples) >= LEAST_SAMPLES else None
