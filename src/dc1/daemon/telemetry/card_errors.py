"""Errors of cards, remembered for an hour: by then a card works well again, or has failed again."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.gpus.card_health import FATAL_XIDS, MAX_XID, MOST_XIDS

KEPT_SECONDS = 3600.0


@dataclass(slots=True)
class _Errors:
    """What happened to one card: each Xid with how often and when last, and growth of its uncorrected ECC errors."""

    xids: dict[int, tuple[int, float]] = field(default_factory=dict)
    ecc_seen: int | None = None
    ecc_new: int = 0
    ecc_grew_at: float = 0.0


class CardErrors:
    """The errors of each card by its UUID. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cards: dict[str, _Errors] = {}
        self._missing: set[str] = set()
        self._failed_at: tuple[float, str] | None = None

    def note_xid(self, uuid: str, xid: int) -> None:
        """Note an error that the driver told of; a number that none can have is passed over."""
        if not 0 < xid <= MAX_XID:
            return
        now = time.monotonic()
        with self._lock:
            found = self._cards.setdefault(uuid, _Errors()).xids
            if xid in found or len(found) < MOST_XIDS:
                found[xid] = (found.get(xid, (0, 0.0))[0] + 1, now)
            if xid in FATAL_XIDS:
                self._failed_at = now, f"Xid {xid}, {FATAL_XIDS[xid]}"

    def note_uncorrected(self, uuid: str, count: int | None) -> None:
        """Note how many uncorrected ECC errors a card counts; those of before the first look are old."""
        if count is None:
            return
        now = time.monotonic()
        with self._lock:
            card = self._cards.setdefault(uuid, _Errors())
            if card.ecc_seen is not None and count > card.ecc_seen:
                card.ecc_new += count - card.ecc_seen
                card.ecc_grew_at = now
                self._failed_at = now, f"{count - card.ecc_seen} new uncorrected ECC errors"
            # A lower count is that of a driver that was loaded anew.
            card.ecc_seen = count

    def present(self, uuids: Collection[str]) -> None:
        """Note which cards answer: one that was gone and is back has been reset, and starts afresh."""
        with self._lock:
            for uuid in self._missing & set(uuids):
                del self._cards[uuid]
            self._missing = self._cards.keys() - set(uuids)

    def fields_of(self, uuid: str, *, watched: bool) -> JsonObject:
        """Return a card's errors of the last hour by their names in a report; without Xids where nobody watches."""
        now = time.monotonic()
        with self._lock:
            card = self._cards.get(uuid) or _Errors()
            card.xids = {xid: told for xid, told in card.xids.items() if now - told[1] < KEPT_SECONDS}
            if now - card.ecc_grew_at >= KEPT_SECONDS:
                card.ecc_new = 0
            listed: list[JsonValue] = [
                {"xid": xid, "count": count, "seconds_ago": round(now - last)}
                for xid, (count, last) in sorted(card.xids.items())
            ]
            return {
                "xid_errors": listed if watched or listed else None,
                "ecc_uncorrected_new": None if card.ecc_seen is None else card.ecc_new,
            }

    def failed_since(self, started: float) -> str | None:
        """Return in words what was fatal to any card since a time of `time.monotonic()`, None for nothing."""
        with self._lock:
            return self._failed_at[1] if self._failed_at is not None and self._failed_at[0] >= started else None
