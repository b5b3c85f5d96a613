"""What is remembered of a machine's cards from one report to the next."""

from collections.abc import Sequence

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.gpus.card_health import card_id, failing_cards, failing_of, offered_cards, slowed_by
from dc1.domain.gpus.clock_history import ClockHistory, loaded_clock_mhz

_TOLD_AGAIN_MS = 60_000
"""A card that fails and recovers with every report is told of once a minute."""

_RECENT_MS = 60_000


class CardRecord:
    """Which cards fail, when one failed or vanished last, and at which clocks they work."""

    def __init__(self, gpu_status: JsonObject | None = None, clocks: Sequence[JsonValue] | None = None) -> None:
        """Go on from what was stored."""
        self.failing = failing_cards(gpu_status)
        self.clocks = ClockHistory(clocks)
        self.heard_ms = 0
        self.failed_at_ms: int | None = None
        self.to_tell: str | None = None
        """What an operator has still to be told."""
        self._present = {card_id(card) for card in offered_cards(gpu_status)}
        self._told_ms: int | None = None
        self._loaded: tuple[int, JsonObject] | None = None

    @property
    def notice(self) -> str | None:
        """Which cards fail, and of what, in words for people; None while none does."""
        each = (f"GPU {card} is given no work: {words}" for card, words in sorted(self.failing.items()))
        return "; ".join(each) or None

    def take(self, gpu_status: JsonObject, now_ms: int) -> None:
        """Fold a report in. One that tells nothing of cards, not even that there are none, changes nothing."""
        offered = offered_cards(gpu_status)
        if not offered and gpu_status.get("gpus_present") != 0:
            return
        self.heard_ms = now_ms
        present, failing = {card_id(card) for card in offered}, failing_of(offered)
        if failing.keys() - self.failing.keys() or self._present - present:
            self.failed_at_ms = now_ms
        is_new, self._present, self.failing = failing != self.failing, present, failing
        if is_new and failing and (self._told_ms is None or now_ms - self._told_ms >= _TOLD_AGAIN_MS):
            self.to_tell, self._told_ms = self.notice, now_ms
        clock = loaded_clock_mhz(offered)
        if clock is not None:
            self._loaded = now_ms, gpu_status
            self.clocks.note(clock)

    def slowed_by(self, gpu_status: JsonObject | None, now_ms: int) -> str | None:
        """Return in words what may have kept the first card from its best under the load of the last minute."""
        # A card that has nothing to do any more is not held down by anything.
        recent = self._loaded is not None and now_ms - self._loaded[0] <= _RECENT_MS
        return slowed_by(self._loaded[1] if recent and self._loaded is not None else gpu_status)
