"""What cards say of their health: which may be given no work, and what slows the others down."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from dc1.domain.base.json_types import MAX_EXACT_INTEGER, JsonObject, JsonValue
from dc1.domain.base.numeric import as_found, as_integer, as_number, plain

IDLE = "gpu_idle"
"""The reason of a clock that is low because nothing is to be done, which is no throttling."""

POWER_CAP = "sw_power_cap"

SLOWDOWNS = frozenset(
    {"hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "reliability"}
)
"""Reasons for which a card does less than a healthy one would. A power cap is one where the limit was lowered."""

THROTTLE_REASONS = (
    IDLE,
    "applications_clocks_setting",
    POWER_CAP,
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
    "board_limit",
    "reliability",
)
"""Their names in a report, each at the place of its bit in NVML's mask."""

FATAL_XIDS: Mapping[int, str] = {
    48: "double-bit ECC error",
    62: "internal micro-controller halt",
    64: "row remapping failure",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    94: "contained memory error",
    95: "uncontained memory error",
    119: "the GPU's system processor does not answer",
    120: "the GPU's system processor failed",
    140: "unrecovered ECC error",
    143: "the GPU cannot be initialised",
}
"""Errors of the card itself. Others, such as 13, 31 and 43, a program can cause on a healthy card."""

MAX_CARDS = 32
MAX_CLOCK_MHZ = 10_000
MAX_WATTS = 5_000
MAX_XID = 10_000
MOST_XIDS = 16

CardId: TypeAlias = str
"""What a card is told by from one report to the next: its UUID, or else its number."""


def cards(gpu_status: JsonObject | None) -> list[JsonObject]:
    """Return a report's cards as they were sent; of one that lists none, what it says of the first."""
    status = gpu_status or {}
    listed = status.get("all_gpus")
    found = [card for card in listed[:MAX_CARDS] if isinstance(card, dict)] if isinstance(listed, list) else []
    return found or ([status] if status.get("gpu_name") else [])


def offered_cards(gpu_status: JsonObject | None) -> list[JsonObject]:
    """Return the cards that are sold: those of the reported model, for a machine offers cards of one model."""
    status, found = gpu_status or {}, cards(gpu_status)
    wanted = kind_of(status)
    # A report that names no model, or none of its cards, says nothing of which are meant.
    alike = [card for card in found if kind_of(card) == wanted]
    return alike or found


_SHOWN_NUMBERS: Mapping[str, int] = {
    "sm_clock_mhz": MAX_CLOCK_MHZ,
    "sm_clock_max_mhz": MAX_CLOCK_MHZ,
    "power_limit_w": MAX_WATTS,
    "power_limit_default_w": MAX_WATTS,
    "ecc_corrected": MAX_EXACT_INTEGER - 1,
    "ecc_uncorrected": MAX_EXACT_INTEGER - 1,
    "ecc_corrected_total": MAX_EXACT_INTEGER - 1,
    "ecc_uncorrected_total": MAX_EXACT_INTEGER - 1,
    "ecc_uncorrected_new": MAX_EXACT_INTEGER - 1,
}


def shown_cards(gpu_status: JsonObject | None) -> list[JsonValue]:
    """Return every card as people are shown it: what it tells of its health that can be, and why it fails."""
    return [_shown(card) for card in cards(gpu_status)]


def _shown(card: JsonObject) -> JsonObject:
    name = card.get("gpu_name")
    numbers = {field: _within(card, field, most) for field, most in _SHOWN_NUMBERS.items()}
    told = isinstance(card.get("throttle_reasons"), list)
    return {
        "gpu": card_id(card),
        "gpu_name": name[:200] if isinstance(name, str) else None,
        **{field: None if number is None else plain(number) for field, number in numbers.items()},
        "throttle_reasons": [*sorted(throttle_reasons(card))] if told else None,
        "xids": [*sorted(set(xids(card)))[:MOST_XIDS]] if isinstance(card.get("xid_errors"), list) else None,
        "failure": failure_of(card),
    }


def kind_of(card: JsonObject) -> tuple[JsonValue, int | None]:
    """Return what cards are sold as: their name, and their VRAM in whole GB."""
    vram_mib = as_found(card.get("gpu_vram_mib"))
    return card.get("gpu_name"), None if vram_mib is None else round(vram_mib / 1024)


def card_id(card: JsonObject) -> CardId:
    """Return what a card is told by."""
    return str(card.get("gpu_uuid") or card.get("index") or 0)[:80]


def failure_of(card: JsonObject) -> str | None:
    """Return why a card is to be given no work, in words, or None: its daemon says so only as long as it is so."""
    for xid in xids(card):
        if xid in FATAL_XIDS:
            return f"Xid {xid}, {FATAL_XIDS[xid]}"
    grown = count_in(card, "ecc_uncorrected_new")
    return f"{grown} new uncorrected ECC errors" if grown else None


def failing_cards(gpu_status: JsonObject | None) -> dict[CardId, str]:
    """Return the cards that are sold and can be given no work, each with the reason."""
    return failing_of(offered_cards(gpu_status))


def failing_of(found: Iterable[JsonObject]) -> dict[CardId, str]:
    """Return those of some cards that can be given no work, each with the reason."""
    return {card_id(card): words for card in found if (words := failure_of(card)) is not None}


def xids(card: JsonObject) -> Iterator[int]:
    """Yield the errors that a card reports, by their numbers."""
    sent = card.get("xid_errors")
    for error in sent if isinstance(sent, list) else ():
        number = as_integer(error.get("xid") if isinstance(error, dict) else error)
        if number is not None and 0 < number <= MAX_XID:
            yield number


def throttle_reasons(card: JsonObject) -> frozenset[str]:
    """Return why a card's clock is lower than it could be; having nothing to do is no such reason."""
    sent = card.get("throttle_reasons")
    named = {reason for reason in sent if isinstance(reason, str)} if isinstance(sent, list) else set()
    return frozenset(named & set(THROTTLE_REASONS) - {IDLE})


def is_throttled(card: JsonObject, reasons: Collection[str]) -> bool:
    """Tell whether a card does less for these reasons than a healthy one of its model would."""
    return not SLOWDOWNS.isdisjoint(reasons) or (POWER_CAP in reasons and lowered_limit(card) is not None)


def lowered_limit(card: JsonObject) -> tuple[Decimal, Decimal] | None:
    """Return a card's power limit and what it would be by default, in watts, where it was lowered."""
    limit, default = _within(card, "power_limit_w", MAX_WATTS), _within(card, "power_limit_default_w", MAX_WATTS)
    return (limit, default) if limit and default and limit < default else None


def sm_clock_mhz(card: JsonObject) -> float | None:
    """Return the clock of a card's processors, None where it says none that can be."""
    clock = _within(card, "sm_clock_mhz", MAX_CLOCK_MHZ)
    return float(clock) if clock else None


def count_in(card: JsonObject, name: str) -> int:
    """Return a number of errors that a card reports, 0 where it says none that can be."""
    number = as_integer(card.get(name))
    return number if number is not None and 0 < number <= MAX_EXACT_INTEGER - 1 else 0


def slowed_by(gpu_status: JsonObject | None) -> str | None:
    """Return in words what may keep the first card from doing what its model does, None where it says nothing."""
    card = next(iter(offered_cards(gpu_status)), None)
    if card is None:
        return None
    found: list[str] = []
    if reasons := throttle_reasons(card):
        found.append(f"throttled by {', '.join(sorted(reasons))}")
    if limits := lowered_limit(card):
        found.append(f"its power limit is {limits[0]:g} W and by default {limits[1]:g} W")
    if errors := count_in(card, "ecc_uncorrected"):
        found.append(f"{errors} uncorrected ECC errors")
    if errors := count_in(card, "ecc_corrected"):
        found.append(f"{errors} corrected ECC errors")
    return "; ".join(found) or None


def _within(card: JsonObject, name: str, most: int) -> Decimal | None:
    number = as_number(card.get(name))
    return number if number is not None and 0 <= number <= most else None
