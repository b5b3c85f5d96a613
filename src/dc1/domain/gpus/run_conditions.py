"""What the cards went through while a job ran, as its machine's reports tell it."""

from dataclasses import dataclass, field

from dc1.domain.base.json_types import JsonObject
from dc1.domain.gpus.card_health import is_throttled, offered_cards, throttle_reasons
from dc1.domain.gpus.clock_history import ClockHistory, loaded_clock_mhz


@dataclass(slots=True)
class RunConditions:
    """Sums over the reports of one attempt; which of several cards it had is not known, so all of them count.

    `throttled` is None until a card tells why its clock is low. `is_urgent` is set where something happened that is
    not stored yet, and `is_stored` unset also where only the clocks went on.
    """

    reasons: set[str] = field(default_factory=set)
    throttled: bool | None = None
    gpu_lost: bool = False
    is_stored: bool = True
    is_urgent: bool = False
    _clock_sum: float = 0.0
    _clocks: int = 0
    _usual_mhz: float | None = None

    def note(self, gpu_status: JsonObject, clocks: ClockHistory) -> None:
        """Add a report."""
        offered = offered_cards(gpu_status)
        told = [card for card in offered if isinstance(card.get("throttle_reasons"), list)]
        if told:
            each = [(card, throttle_reasons(card)) for card in told]
            slowed = any(is_throttled(card, reasons) for card, reasons in each)
            reasons = self.reasons.union(*(reasons for _, reasons in each))
            now = bool(self.throttled or slowed), reasons
            if now != (self.throttled, self.reasons):
                self.throttled, self.reasons = now
                self._happened()
        clock = loaded_clock_mhz(offered)
        if clock is not None:
            # As it was when the run began: a long one that is slow would become the usual itself.
            self._usual_mhz = self._usual_mhz or clocks.median_mhz
            self._clock_sum += clock
            self._clocks += 1
            self.is_stored = False

    def lost_gpu(self) -> None:
        """Note that a card failed or vanished."""
        if not self.gpu_lost:
            self.gpu_lost = True
            self._happened()

    def _happened(self) -> None:
        self.is_stored, self.is_urgent = False, True

    def stored(self) -> None:
        """Note that it is stored as it is now."""
        self.is_stored, self.is_urgent = True, False

    @property
    def performance_ratio(self) -> float | None:
        """The mean clock under load against the machine's own median; None without evidence of both."""
        return round(self._clock_sum / self._clocks / self._usual_mhz, 3) if self._usual_mhz else None

    def to_json(self, attempt: int) -> JsonObject:
        """Return what is kept with the job, of that attempt."""
        return {
            "attempt": attempt,
            "performance_ratio": self.performance_ratio,
            "throttled": self.throttled,
            "throttle_reasons": None if self.throttled is None else [*sorted(self.reasons)],
            "gpu_lost": self.gpu_lost,
        }
