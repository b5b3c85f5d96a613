"""What the daemon says about its machine in every beat: operating system, memory, GPUs and how busy they are."""

import contextlib
import os
import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dc1.daemon.telemetry.nvml import GpuReading, NvmlReader, NvmlReading
from dc1.domain.base.json_types import JsonObject
from dc1.domain.gpus.card_health import failure_of, kind_of

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MachineReading:
    """The machine itself. Memory in MiB; None where the operating system does not say."""

    os_info: str
    python_version: str
    cpu_count: int | None
    memory_mib: int | None
    free_memory_mib: int | None


@dataclass(frozen=True, slots=True)
class TelemetryReading:
    """Everything measured at one moment. On a machine without NVIDIA's driver `nvml` has no GPUs and says why.

    `errors` are those of each GPU of the last hour, by its UUID.
    """

    daemon_version: str
    machine: MachineReading
    nvml: NvmlReading
    errors: Mapping[str, JsonObject] = field(default_factory=dict)

    @property
    def gpus(self) -> tuple[GpuReading, ...]:
        """The GPUs of the machine; MIG instances stand in for the card they are cut from."""
        return self.nvml.gpus

    def to_gpu_status(self) -> JsonObject:
        """Return the heartbeat's `gpu_status`: fields of the first GPU, then all of them; unknowns are left out."""
        listed = [_known({**gpu.to_fields(), **self.errors.get(gpu.uuid, {})}) for gpu in self.gpus]
        offered = _offered(listed)
        status: JsonObject = {
            "daemon_version": self.daemon_version,
            "os_info": self.machine.os_info,
            "python_version": self.machine.python_version,
            "cpu_count": self.machine.cpu_count,
            "memory_mib": self.machine.memory_mib,
            "free_memory_mib": self.machine.free_memory_mib,
            "driver_version": self.nvml.driver_version,
            "cuda_version": self.nvml.cuda_version,
            # Also when it is none: what is left out stays what it was, and a lost card would go on being offered.
            "gpus_present": len(offered),
        }
        if offered:
            first = next((card for card in offered if failure_of(card) is None), offered[0])
            # These say which GPU is meant, and stand in `all_gpus` only.
            shown = {name: value for name, value in first.items() if name not in _IDENTITY}
            status |= {**shown, "gpu_count": len(offered), "all_gpus": [*listed]}
        if problems := [*self.nvml.problems, *_withheld(listed, offered)]:
            status["problems"] = [*problems]
        return _known(status)


_IDENTITY = ("index", "gpu_uuid", "mig_parent_uuid")


def _offered(listed: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the cards of the one model that the machine offers: most memory altogether, in whatever order they stand.

    A price, a score and a place among its equals belong to one model, and an order for two cards to two that are alike.
    """
    kinds: dict[tuple[object, int | None], list[JsonObject]] = {}
    for card in listed:
        kinds.setdefault(kind_of(card), []).append(card)
    return max(kinds.items(), key=lambda kind: (len(kind[1]) * (kind[0][1] or 0), str(kind[0])), default=((), []))[1]


def _withheld(listed: Sequence[JsonObject], offered: Sequence[JsonObject]) -> list[str]:
    """Return why cards that answer are given no work."""
    model = offered[0].get("gpu_name") if offered else None
    others = [
        f"GPU {card['index']} is not offered: it is a {card.get('gpu_name')}, and this machine offers its {model}"
        for card in listed
        if card not in offered
    ]
    failing = [f"GPU {card['index']} is given no work: {words}" for card in offered if (words := failure_of(card))]
    return others + failing


class MachineTelemetry:
    """Reads the machine. Safe to call from any thread; a call may block for some milliseconds, or with the driver."""

    def __init__(self, daemon_version: str) -> None:
        self._daemon_version = daemon_version
        self._nvml = NvmlReader()
        # A reading that hangs in the driver is waited for by the next, which must not be in it at the same time.
        self._reading = threading.Lock()

    def read(self) -> TelemetryReading:
        """Measure now. Never raises for missing or failing GPUs: they are left out, and the reading says so."""
        with self._reading:
            reading = self._nvml.read()
            errors = {gpu.uuid: self._nvml.errors_of(gpu) for gpu in reading.gpus}
            return TelemetryReading(self._daemon_version, _read_machine(), reading, errors)

    def gpu_failure_since(self, started: float) -> str | None:
        """Return in words what was fatal to any GPU since a time of `time.monotonic()`, None for nothing."""
        return self._nvml.errors.failed_since(started)

    def close(self) -> None:
        """Release the GPU driver."""
        self._nvml.close()


def _read_machine() -> MachineReading:
    """Ask the operating system."""
    return MachineReading(
        os_info=f"{_distribution()}{platform.system()} {platform.release()} {platform.machine()}"[:200],
        python_version=platform.python_version(),
        cpu_count=os.cpu_count(),
        memory_mib=_pages_mib("SC_PHYS_PAGES"),
        free_memory_mib=_pages_mib("SC_AVPHYS_PAGES"),
    )


def _distribution() -> str:
    with contextlib.suppress(OSError):
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, "
    return ""


def _pages_mib(name: str) -> int | None:
    # Windows has no sysconf, and macOS not every name.
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE") // _MIB
    return None


def _known(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
