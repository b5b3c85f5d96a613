"""Stands in for the driver's shared library (libnvidia-ml.so.1), below the binding.

The real pynvml calls it as it would C.
"""

import ctypes
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml
import pytest

_MIB = 1024 * 1024
_MIG_SLOTS = 7
_SUCCESS = int(pynvml.NVML_SUCCESS)


@dataclass(eq=False)
class Device:
    """A card or a MIG instance. `errors` maps a function of the library to the error it returns for this device.

    `ecc` counts errors by (kind, counter) of NVML; `limit_milliwatts` is of 450 W by default.
    """

    name: str
    uuid: str
    vram_mib: int = 24564
    used_mib: int = 564
    util_pct: int = 37
    temp_c: int = 61
    milliwatts: int = 215_449
    capability: tuple[int, int] = (8, 9)
    sm_clock_mhz: int = 2520
    throttle_mask: int = 0x1
    limit_milliwatts: int = 450_000
    ecc: dict[tuple[int, int], int] = field(default_factory=dict)
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
        self.events: queue.Queue[tuple[Device, int]] = queue.Queue()
        self.waits = threading.Event()
        """Set once somebody waits for events."""
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
            "nvmlDeviceGetClockInfo": self._of_device(
                "nvmlDeviceGetClockInfo", lambda d, _, out: _set(out, d.sm_clock_mhz)
            ),
            "nvmlDeviceGetMaxClockInfo": self._of_device(
                "nvmlDeviceGetMaxClockInfo", lambda d, _, out: _set(out, 3105)
            ),
            "nvmlDeviceGetCurrentClocksEventReasons": self._of_device(
                "nvmlDeviceGetCurrentClocksEventReasons", lambda d, out: _set(out, d.throttle_mask)
            ),
            "nvmlDeviceGetCurrentClocksThrottleReasons": self._of_device(
                "nvmlDeviceGetCurrentClocksThrottleReasons", lambda d, out: _set(out, d.throttle_mask)
            ),
            "nvmlDeviceGetPowerManagementLimit": self._of_device(
                "nvmlDeviceGetPowerManagementLimit", lambda d, out: _set(out, d.limit_milliwatts)
            ),
            "nvmlDeviceGetPowerManagementDefaultLimit": self._of_device(
                "nvmlDeviceGetPowerManagementDefaultLimit", lambda d, out: _set(out, 450_000)
            ),
            "nvmlDeviceGetTotalEccErrors": self._of_device(
                "nvmlDeviceGetTotalEccErrors",
                lambda d, kind, counter, out: _set(out, d.ecc.get((kind.value, counter.value), 0)),
            ),
            "nvmlEventSetCreate": lambda out: _SUCCESS,
            "nvmlEventSetFree": lambda _: _SUCCESS,
            "nvmlDeviceRegisterEvents": self._of_device("nvmlDeviceRegisterEvents", lambda d, kinds, events: _SUCCESS),
            "nvmlEventSetWait_v2": self._wait,
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

    def _wait(self, _: Any, out: Any, milliseconds: Any) -> int:
        self.waits.set()
        try:
            device, xid = self.events.get(timeout=milliseconds.value / 1000)
        except queue.Empty:
            return int(pynvml.NVML_ERROR_TIMEOUT)
        out._obj.eventType = pynvml.nvmlEventTypeXidCriticalError
        out._obj.eventData = xid
        return self._give_handle(device, ctypes.byref(out._obj, type(out._obj).device.offset))

    def _handle_by_index(self, index: Any, out: Any) -> int:
        return self._give_handle(self.cards[index.value], out)

    def _mig_handle(self, handle: Any, slot: Any, out: Any) -> int:
        instance = self._device(handle).instances.get(slot.value)
        return int(pynvml.NVML_ERROR_NOT_FOUND) if instance is None else self._give_handle(instance, out)

    def _give_handle(self, device: Device, out: Any) -> int:
        if error := device.errors.get("handle"):
            return error
        # The same handle each time, as the driver gives it.
        if device not in self._devices:
            self._devices.append(device)
        number = ctypes.c_void_p(self._devices.index(device) + 1)
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
