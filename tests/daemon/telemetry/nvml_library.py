"""Stands in for the driver's shared library (libnvidia-ml.so.1), below the binding.

The real pynvml calls it as it would C.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml
import pytest

_MIB = 1024 * 1024
_MIG_SLOTS = 7
_SUCCESS = int(pynvml.NVML_SUCCESS)


@dataclass
class Device:
    """A card or a MIG instance. `errors` maps a function of the library to the error it returns for this device."""

    name: str
    uuid: str
    vram_mib: int = 24564
    used_mib: int = 564
    util_pct: int = 37
    temp_c: int = 61
    milliwatts: int = 215_449
    capability: tuple[int, int] = (8, 9)
    mig_enabled: bool = False
    instances: dict[int, "Device"] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


class NvmlLibrary:
    """Answers the functions the daemon uses; any other is missing, as in an old driver."""

    def __init__(self, *cards: Device, driver: str = "580.95.05", cuda: int = 13000) -> None:
        self.cards = list(cards)
        self.driver = driver
        self.cuda = cuda
        self.init_error: int = _SUCCESS
        self.missing: set[str] = set()
        self.open_count = 0
        self._devices: list[Device] = []
        self._functions: dict[str, Callable[..., int]] = {
            "nvmlInitWithFlags": self._init,
            "nvmlShutdown": self._shutdown,
            "nvmlSystemGetDriverVersion": lambda text, _: _write(text, self.driver),
            "nvmlSystemGetCudaDriverVersion_v2": lambda out: _set(out, self.cuda),
            "nvmlDeviceGetCount_v2": lambda out: _set(out, len(self.cards)),
            "nvmlDeviceGetHandleByIndex_v2": self._handle_by_index,
            "nvmlDeviceGetMigDeviceHandleByIndex": self._mig_handle,
            "nvmlDeviceGetName": self._of_device("nvmlDeviceGetName", lambda d, text, _: _write(text, d.name)),
            "nvmlDeviceGetUUID": self._of_device("nvmlDeviceGetUUID", lambda d, text, _: _write(text, d.uuid)),
            "nvmlDeviceGetMemoryInfo": self._of_device("nvmlDeviceGetMemoryInfo", _memory),
            "nvmlDeviceGetUtilizationRates": self._of_device("nvmlDeviceGetUtilizationRates", _utilisation),
            "nvmlDeviceGetTemperatureV": self._of_device("nvmlDeviceGetTemperatureV", _temperature_v),
            "nvmlDeviceGetTemperature": self._of_device(
                "nvmlDeviceGetTemperature", lambda d, _, out: _set(out, d.temp_c)
            ),
            "nvmlDeviceGetPowerUsage": self._of_device(
                "nvmlDeviceGetPowerUsage", lambda d, out: _set(out, d.milliwatts)
            ),
            "nvmlDeviceGetCudaComputeCapability": self._of_device("nvmlDeviceGetCudaComputeCapability", _capability),
            "nvmlDeviceGetMigMode": self._of_device("nvmlDeviceGetMigMode", _mig_mode),
            "nvmlDeviceGetMaxMigDeviceCount": lambda _, out: _set(out, _MIG_SLOTS),
        }

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "NvmlLibrary":
        """Take the place of the loaded library."""
        monkeypatch.setattr(pynvml, "nvmlLib", self)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return self

    def __getattr__(self, name: str) -> Callable[..., int]:
        function = self._functions.get(name)
        if function is None or name in self.missing:
            raise AttributeError(name)
        return function

    def _init(self, flags: int) -> int:
        if self.init_error == _SUCCESS:
            self.open_count += 1
        return self.init_error

    def _shutdown(self) -> int:
        self.open_count -= 1
        return _SUCCESS

    def _handle_by_index(self, index: Any, out: Any) -> int:
        return self._give_handle(self.cards[index.value], out)

    def _mig_handle(self, handle: Any, slot: Any, out: Any) -> int:
        instance = self._device(handle).instances.get(slot.value)
        return int(pynvml.NVML_ERROR_NOT_FOUND) if instance is None else self._give_handle(instance, out)

    def _give_handle(self, device: Device, out: Any) -> int:
        if error := device.errors.get("handle"):
            return error
        self._devices.append(device)
        number = ctypes.c_void_p(len(self._devices))
        ctypes.memmove(out, ctypes.byref(number), ctypes.sizeof(number))
        return _SUCCESS

    def _device(self, handle: Any) -> Device:
        number = ctypes.cast(handle, ctypes.c_void_p).value
        assert number is not None
        return self._devices[number - 1]

    def _of_device(self, name: str, answer: Callable[..., int]) -> Callable[..., int]:
        def function(handle: Any, *arguments: Any) -> int:
            device = self._device(handle)
            return device.errors.get(name) or answer(device, *arguments)

        return function


def _set(out: Any, value: int) -> int:
    out._obj.value = value
    return _SUCCESS


def _write(buffer: Any, text: str) -> int:
    buffer.value = text.encode()
    return _SUCCESS


def _memory(device: Device, out: Any) -> int:
    out._obj.total = device.vram_mib * _MIB
    out._obj.used = device.used_mib * _MIB
    out._obj.free = (device.vram_mib - device.used_mib) * _MIB
    return _SUCCESS


def _utilisation(device: Device, out: Any) -> int:
    out._obj.gpu = device.util_pct
    return _SUCCESS


def _temperature_v(device: Device, out: Any) -> int:
    if out._obj.version != pynvml.nvmlTemperature_v1:
        return int(pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH)
    out._obj.temperature = device.temp_c
    return _SUCCESS


def _capability(device: Device, major: Any, minor: Any) -> int:
    return _set(major, device.capability[0]) or _set(minor, device.capability[1])


def _mig_mode(device: Device, current: Any, pending: Any) -> int:
    return _set(current, device.mig_enabled) or _set(pending, device.mig_enabled)
