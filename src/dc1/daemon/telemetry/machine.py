"""What the daemon says about its machine in every beat: operating system, memory, GPUs and how busy they are."""

import contextlib
import os
import platform
from dataclasses import dataclass

from dc1.daemon.telemetry.nvml import GpuReading, NvmlReader, NvmlReading
from dc1.domain.base.json_types import JsonObject

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
    """Everything measured at one moment. On a machine without NVIDIA's driver `nvml` has no GPUs and says why."""

    daemon_version: str
    machine: MachineReading
    nvml: NvmlReading

    @property
    def gpus(self) -> tuple[GpuReading, ...]:
        """The GPUs that work can be given to; MIG instances stand in for the card they are cut from."""
        return self.nvml.gpus

    def to_gpu_status(self) -> JsonObject:
        """Return the heartbeat's `gpu_status`: fields of the first GPU, then all of them; unknowns are left out."""
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
            "gpus_present": len(self.gpus),
        }
        if self.gpus:
            first = _gpu_fields(self.gpus[0])
            # These say which GPU is meant, and stand in `all_gpus` only.
            del first["index"], first["gpu_uuid"], first["mig_parent_uuid"]
            status |= {
                **first,
                "gpu_count": len(self.gpus),
                "all_gpus": [_known(_gpu_fields(gpu)) for gpu in self.gpus],
            }
        if self.nvml.problems:
            status["problems"] = list(self.nvml.problems)
        return _known(status)


class MachineTelemetry:
    """Reads the machine. Safe to call from any thread, one call at a time; a call may block for some milliseconds."""

    def __init__(self, daemon_version: str) -> None:
        self._daemon_version = daemon_version
        self._nvml = NvmlReader()

    def read(self) -> TelemetryReading:
        """Measure now. Never raises for missing or failing GPUs: they are left out, and the reading says so."""
        return TelemetryReading(self._daemon_version, _read_machine(), self._nvml.read())

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


def _gpu_fields(gpu: GpuReading) -> JsonObject:
    return {
        "index": gpu.index,
        "gpu_name": gpu.name,
        "gpu_uuid": gpu.uuid,
        "gpu_vram_mib": gpu.vram_mib,
        "free_vram_mib": gpu.free_vram_mib,
        "gpu_util_pct": gpu.util_pct,
        "temp_c": gpu.temp_c,
        "power_w": gpu.power_w,
        "compute_capability": gpu.compute_capability,
        "mig_parent_uuid": gpu.mig_parent_uuid,
    }


def _known(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
