"""How a card does: its clock and what holds it down, its power limit, and the errors of its memory."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pynvml

from dc1.daemon.telemetry.driver_calls import bounded, optional
from dc1.domain.base.json_types import MAX_EXACT_INTEGER, JsonObject
from dc1.domain.gpus.card_health import MAX_CLOCK_MHZ, MAX_WATTS, THROTTLE_REASONS

_MAX_MILLIWATTS = MAX_WATTS * 1000


@dataclass(frozen=True, slots=True)
class CardHealth:
    """Clocks in MHz, limits in watts, ECC errors since the driver was loaded and in the card's life; None unsupported.

    `throttle_reasons` are why the clock is lower than it could be, by their names.
    """

    sm_clock_mhz: int | None = None
    sm_clock_max_mhz: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    power_limit_w: float | None = None
    power_limit_default_w: float | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    ecc_corrected_total: int | None = None
    ecc_uncorrected_total: int | None = None

    def to_fields(self) -> JsonObject:
        """Return them by their names in a report."""
        return {
            "sm_clock_mhz": self.sm_clock_mhz,
            "sm_clock_max_mhz": self.sm_clock_max_mhz,
            "throttle_reasons": None if self.throttle_reasons is None else [*self.throttle_reasons],
            "power_limit_w": self.power_limit_w,
            "power_limit_default_w": self.power_limit_default_w,
            "ecc_corrected": self.ecc_corrected,
            "ecc_uncorrected": self.ecc_uncorrected,
            "ecc_corrected_total": self.ecc_corrected_total,
            "ecc_uncorrected_total": self.ecc_uncorrected_total,
        }


NOTHING_TOLD = CardHealth()


def read_health(handle: Any) -> CardHealth:
    """Ask a card; a value that fails is None."""
    clock, highest = pynvml.nvmlDeviceGetClockInfo, pynvml.nvmlDeviceGetMaxClockInfo
    return CardHealth(
        sm_clock_mhz=bounded(lambda: clock(handle, pynvml.NVML_CLOCK_SM), MAX_CLOCK_MHZ),
        sm_clock_max_mhz=bounded(lambda: highest(handle, pynvml.NVML_CLOCK_SM), MAX_CLOCK_MHZ, 1),
        throttle_reasons=_throttle_reasons(handle),
        power_limit_w=_watts(partial(pynvml.nvmlDeviceGetPowerManagementLimit, handle)),
        power_limit_default_w=_watts(partial(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)),
        ecc_corrected=_ecc(handle, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_VOLATILE_ECC),
        ecc_uncorrected=_ecc(handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC),
        ecc_corrected_total=_ecc(handle, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_AGGREGATE_ECC),
        ecc_uncorrected_total=_ecc(handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_AGGREGATE_ECC),
    )


def _throttle_reasons(handle: Any) -> tuple[str, ...] | None:
    mask = optional(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    if mask is None:
        # Drivers of before 2023 have only this name, which CUDA 14 drops.
        mask = optional(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
    # Bits that nobody has named yet say nothing that anybody could read.
    return None if mask is None else tuple(name for bit, name in enumerate(THROTTLE_REASONS) if mask >> bit & 1)


def _watts(call: Any) -> float | None:
    milliwatts = bounded(call, _MAX_MILLIWATTS, 1)
    return None if milliwatts is None else round(milliwatts / 1000, 1)


def _ecc(handle: Any, kind: int, counter: int) -> int | None:
    return bounded(lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, counter), MAX_EXACT_INTEGER)
