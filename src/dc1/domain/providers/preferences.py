"""Preferences say when and how far owners let their machines be used."""

from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.base.clock import to_datetime
from dc1.domain.money.machine_prices import HUNDRED

_MIB_PER_GIB = 1024


class RunMode(StrEnum):
    """When a machine may be given work."""

    ALWAYS_ON = "always-on"
    MANUAL = "manual"
    SCHEDULED = "scheduled"


class Reluctance(StrEnum):
    """Why a machine that is there is given no new work now; the value tells its owner."""

    OFF_SCHEDULE = "It is outside the provider's schedule."
    TOO_HOT = "The GPU is hotter than the provider's limit."
    GPU_IN_USE = "Others use the GPU more than the provider's cap."


@dataclass(frozen=True, slots=True)
class Preferences:
    """An owner's wishes; None is no wish.

    A machine in mode `manual` only runs jobs that name it. One in mode `scheduled` is given work from `scheduled_start`
    until `scheduled_end` (HH:MM in UTC, past midnight when the end is the earlier one), at any time while one of them
    is missing or both are equal. `gpu_usage_cap_pct` is for use by others, `vram_reserve_gb` is taken from each GPU in
    GiB, and `temp_limit_c` is in °C. `ask_pct` is what the owner asks, in hundredths of the usual price.
    """

    run_mode: RunMode = RunMode.ALWAYS_ON
    scheduled_start: str | None = None
    scheduled_end: str | None = None
    gpu_usage_cap_pct: float | None = None
    vram_reserve_gb: float | None = None
    temp_limit_c: float | None = None
    ask_pct: int = HUNDRED

    def is_scheduled_at(self, now_ms: int) -> bool:
        """Tell whether the schedule, if there is one, lets the machine work now."""
        start, end = self.scheduled_start, self.scheduled_end
        if self.run_mode is not RunMode.SCHEDULED or start is None or end is None or start == end:
            return True
        now = to_datetime(now_ms)
        minute = now.hour * 60 + now.minute
        first, last = _minute_of_day(start), _minute_of_day(end)
        if first < last:
            return first <= minute < last
        # Past midnight.
        return minute >= first or minute < last

    def reluctance(self, now_ms: int, temp_c: float | None, used_by_others_pct: float | None) -> Reluctance | None:
        """Return why the machine is given no new work now, or None; what was not measured keeps nobody from work."""
        if not self.is_scheduled_at(now_ms):
            return Reluctance.OFF_SCHEDULE
        if self.temp_limit_c is not None and temp_c is not None and temp_c > self.temp_limit_c:
            return Reluctance.TOO_HOT
        cap = self.gpu_usage_cap_pct
        if cap is not None and used_by_others_pct is not None and used_by_others_pct > cap:
            return Reluctance.GPU_IN_USE
        return None

    def usable_vram_mib(self, vram_mib: int | None) -> int | None:
        """Return what the reserve leaves of a GPU's VRAM, None when that is unknown."""
        if vram_mib is None or self.vram_reserve_gb is None:
            return vram_mib
        return max(0, vram_mib - round(self.vram_reserve_gb * _MIB_PER_GIB))


def _minute_of_day(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
