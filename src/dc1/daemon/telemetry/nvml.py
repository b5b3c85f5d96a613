"""NVIDIA GPUs, read through the driver's management library."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pynvml

from dc1.daemon.telemetry.card_errors import CardErrors
from dc1.daemon.telemetry.card_health import NOTHING_TOLD, CardHealth, read_health
from dc1.daemon.telemetry.driver_calls import bounded, optional
from dc1.daemon.telemetry.xid_watch import XidWatch
from dc1.domain.base.json_types import JsonObject

_MIB = 1024 * 1024
_MAX_MIB = 1_048_576
_MAX_MILLIWATTS = 2_000_000
_REOPEN_SECONDS = 60.0
"""How often the library is opened anew for a card that fails: errors of the others are not heard meanwhile."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU or MIG instance: memory in MiB, utilisation in percent, degrees Celsius, watts; None where unsupported.

    A MIG instance carries its card's temperature, power and health and names the card by `mig_parent_uuid`; `index` is
    the card's.
    """

    index: int
    name: str
    uuid: str
    vram_mib: int | None = None
    free_vram_mib: int | None = None
    util_pct: int | None = None
    temp_c: int | None = None
    power_w: float | None = None
    compute_capability: str | None = None
    mig_parent_uuid: str | None = None
    health: CardHealth = NOTHING_TOLD

    def to_fields(self) -> JsonObject:
        """Return them by their names in a report."""
        return {
            "index": self.index,
            "gpu_name": self.name,
            "gpu_uuid": self.uuid,
            "gpu_vram_mib": self.vram_mib,
            "free_vram_mib": self.free_vram_mib,
            "gpu_util_pct": self.util_pct,
            "temp_c": self.temp_c,
            "power_w": self.power_w,
            "compute_capability": self.compute_capability,
            "mig_parent_uuid": self.mig_parent_uuid,
            **self.health.to_fields(),
        }


@dataclass(frozen=True, slots=True)
class NvmlReading:
    """What the driver reports. `problems` names what was left out and why, and `failed` says that a card failed."""

    gpus: tuple[GpuReading, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None
    problems: tuple[str, ...] = ()
    failed: bool = False


class NoInstanceError(Exception):
    """The card is to be cut into MIG instances, and is cut into none."""


class NvmlReader:
    """Keeps the library open between readings and opens it anew after trouble, as a driver may come, go or recover."""

    def __init__(self) -> None:
        self.errors = CardErrors()
        """What went wrong with the cards."""
        self._watch = XidWatch(self.errors)
        self._open = False
        self._reopened_at = float("-inf")

    def read(self) -> NvmlReading:
        """Read all GPUs. A value that fails is None, a card that fails is left out, a missing driver means no GPUs."""
        try:
            if not self._open:
                pynvml.nvmlInit()
                self._open = True
            reading = _read_system()
        except pynvml.NVMLError as error:
            reading = NvmlReading(problems=(f"no NVIDIA driver in use: {error}",))
        except Exception as error:
            # A name that is no UTF-8, an error number that the binding does not know: a driver may answer anything.
            reading = NvmlReading(problems=(f"the NVIDIA driver cannot be understood: {type(error).__name__}",))
        self._note(reading)
        return reading

    def errors_of(self, gpu: GpuReading) -> JsonObject:
        """Return what went wrong with a card lately, by its names in a report; an instance shares its card's."""
        return self.errors.fields_of(gpu.mig_parent_uuid or gpu.uuid, watched=self._watch.listens)

    def close(self) -> None:
        """Close the library."""
        self._watch.stop()
        if self._open:
            self._open = False
            with contextlib.suppress(Exception):
                pynvml.nvmlShutdown()

    def _note(self, reading: NvmlReading) -> None:
        self.errors.present([gpu.mig_parent_uuid or gpu.uuid for gpu in reading.gpus])
        for gpu in reading.gpus:
            self.errors.note_uncorrected(gpu.mig_parent_uuid or gpu.uuid, gpu.health.ecc_uncorrected)
        if reading.driver_version is None or (reading.failed and self._is_time_to_reopen()):
            # The next reading begins anew: by then the driver may be replaced or the card have recovered.
            self.close()
        elif reading.gpus:
            self._watch.start()

    def _is_time_to_reopen(self) -> bool:
        now = time.monotonic()
        if now - self._reopened_at < _REOPEN_SECONDS:
            return False
        self._reopened_at = now
        return True


def _read_system() -> NvmlReading:
    gpus: list[GpuReading] = []
    problems: list[str] = []
    failed = False
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            gpus += _read_card(index)
        except pynvml.NVMLError as error:
            problems.append(f"GPU {index} is left out: {error}")
            failed = True
        except NoInstanceError:
            problems.append(f"GPU {index} is left out: MIG is enabled and no instance is set up")
        except Exception as error:
            # One card that talks nonsense does not take the others away.
            problems.append(f"GPU {index} is left out: its driver cannot be understood ({type(error).__name__})")
            failed = True
    cuda = optional(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    return NvmlReading(
        gpus=tuple(gpus),
        driver_version=optional(pynvml.nvmlSystemGetDriverVersion),
        # 12040 stands for 12.4.
        cuda_version=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        problems=tuple(problems),
        failed=failed,
    )


def _read_card(index: int) -> list[GpuReading]:
    """Return the card, or the instances it is cut into.

    Raises:
        NoInstanceError: the card is to be cut and is cut into none, so no work can be given to it.
    """
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    card = _read_device(index, handle)
    mode = optional(lambda: pynvml.nvmlDeviceGetMigMode(handle))
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return [card]
    instances = [
        replace(
            _read_device(index, instance),
            temp_c=card.temp_c,
            power_w=card.power_w,
            compute_capability=card.compute_capability,
            health=card.health,
            mig_parent_uuid=card.uuid,
        )
        for instance in _mig_instances(handle)
    ]
    if not instances:
        raise NoInstanceError
    return instances


def _mig_instances(handle: Any) -> Iterator[Any]:
    for slot in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            yield pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, slot)
        except pynvml.NVMLError_NotFound:
            continue  # an empty slot


def _read_device(index: int, handle: Any) -> GpuReading:
    memory = optional(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    utilisation = optional(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    milliwatts = bounded(lambda: pynvml.nvmlDeviceGetPowerUsage(handle), _MAX_MILLIWATTS)
    capability = optional(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle))
    return GpuReading(
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        vram_mib=None if memory is None else bounded(lambda: memory.total // _MIB, _MAX_MIB),
        free_vram_mib=None if memory is None else bounded(lambda: memory.free // _MIB, _MAX_MIB),
        util_pct=None if utilisation is None else bounded(lambda: utilisation.gpu, 100),
        temp_c=_temperature(handle),
        power_w=None if milliwatts is None else round(milliwatts / 1000, 1),
        compute_capability=None if capability is None else "{}.{}".format(*capability),
        health=read_health(handle),
    )


def _temperature(handle: Any) -> int | None:
    newer = optional(lambda: int(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU)))
    if newer is None:
        # Drivers of before 2025 have only this one, which CUDA 14 drops.
        newer = optional(lambda: int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)))
    return newer if newer is not None and -40 <= newer <= 150 else None
