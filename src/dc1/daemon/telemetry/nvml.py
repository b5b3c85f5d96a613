"""NVIDIA GPUs, read through the driver's management library."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pynvml

T = TypeVar("T")

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU or MIG instance: memory in MiB, utilisation in percent, degrees Celsius, watts; None where unsupported.

    A MIG instance carries its card's temperature and power and names the card by `mig_parent_uuid`; `index` is the
    card's.
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


@dataclass(frozen=True, slots=True)
class NvmlReading:
    """What the driver reports. `problems` names what was left out and why, in words."""

    gpus: tuple[GpuReading, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None
    problems: tuple[str, ...] = ()


class NoInstanceError(Exception):
    """The card is to be cut into MIG instances, and is cut into none."""


class NvmlReader:
    """Keeps the library open between readings and opens it anew after trouble, as a driver may come, go or recover."""

    def __init__(self) -> None:
        self._open = False

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
        # The next reading begins anew: by then the driver may be replaced or the card have recovered.
        if reading.problems:
            self.close()
        return reading

    def close(self) -> None:
        """Close the library."""
        if self._open:
            self._open = False
            with contextlib.suppress(Exception):
                pynvml.nvmlShutdown()


def _read_system() -> NvmlReading:
    gpus: list[GpuReading] = []
    problems: list[str] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            gpus += _read_card(index)
        except pynvml.NVMLError as error:
            problems.append(f"GPU {index} is left out: {error}")
        except NoInstanceError:
            problems.append(f"GPU {index} is left out: MIG is enabled and no instance is set up")
        except Exception as error:
            # One card that talks nonsense does not take the others away.
            problems.append(f"GPU {index} is left out: its driver cannot be understood ({type(error).__name__})")
    cuda = _optional(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    return NvmlReading(
        gpus=tuple(gpus),
        driver_version=_optional(pynvml.nvmlSystemGetDriverVersion),
        # 12040 stands for 12.4.
        cuda_version=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        problems=tuple(problems),
    )


def _read_card(index: int) -> list[GpuReading]:
    """Return the card, or the instances it is cut into.

    Raises:
        NoInstanceError: the card is to be cut and is cut into none, so no work can be given to it.
    """
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    card = _read_device(index, handle)
    mode = _optional(lambda: pynvml.nvmlDeviceGetMigMode(handle))
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return [card]
    instances = [
        replace(
            _read_device(index, instance),
            temp_c=card.temp_c,
            power_w=card.power_w,
            compute_capability=card.compute_capability,
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
    memory = _optional(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    utilisation = _optional(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    milliwatts = _optional(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    capability = _optional(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle))
    return GpuReading(
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        vram_mib=None if memory is None else memory.total // _MIB,
        free_vram_mib=None if memory is None else memory.free // _MIB,
        util_pct=None if utilisation is None else utilisation.gpu,
        temp_c=_temperature(handle),
        power_w=None if milliwatts is None else round(milliwatts / 1000, 1),
        compute_capability=None if capability is None else "{}.{}".format(*capability),
    )


def _temperature(handle: Any) -> int | None:
    newer = _optional(lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    if newer is not None:
        return int(newer)
    # Drivers of before 2025 have only this one, which CUDA 14 drops.
    return _optional(lambda: int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)))


def _optional(call: Callable[[], T]) -> T | None:
    """Return what the call returns, None for a value this GPU or driver does not have. A lost GPU stays an error."""
    try:
        return call()
    except (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_Uninitialized):
        raise
    except pynvml.NVMLError:
        return None
