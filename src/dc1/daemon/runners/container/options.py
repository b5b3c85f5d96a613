"""How a container job is locked in: everything here is a rule about what an untrusted program may have."""

import json
import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from docker.types import DeviceRequest, LogConfig, Ulimit

from dc1.daemon.runners.base import RunFailed, Work
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.environment import refused_variables
from dc1.domain.jobs.states import ErrorCategory

LABEL_OWNER = "dc1.owner"
LABEL_DAEMON = "dc1.daemon"
LABEL_JOB = "dc1.job_id"
LABEL_ATTEMPT = "dc1.attempt"

_NOBODY = "65534:65534"
# The kernel counts a user's processes across all containers and the machine itself: a container's own bound is that
# of its cgroup.
_NPROC = 4096
_MIB = 1024 * 1024
# What a program expects to write to beside its own volumes. Podman puts memory there without a bound by itself.
_SCRATCH = ("/tmp", "/var/tmp", "/run")  # noqa: S108 -- inside the container
_MOST_VOLUMES = 16
# A colon or comma would end the path and begin options of the mount.
_VOLUME = re.compile(r"/[^:,\x00-\x1f]+")
_KERNELS_OWN = ("/proc", "/sys", "/dev")
FEWEST_PIDS = 16
"""What starts a container counts as its own until it has: some five to eight threads of the runtime, as it happens."""

# Linux refuses a longer "NAME=value" (MAX_ARG_STRLEN).
_ENV_STRING_LIMIT = 128 * 1024 - 1


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """The most one container may have: memory (no swap beside it), CPUs, processes, open files.

    `tmp_mib` bounds each place that can be written to, in MiB; all of them lie in the container's memory.
    """

    memory_mib: int
    cpus: float
    pids: int = 512
    tmp_mib: int = 1024
    open_files: int = 4096

    @classmethod
    def of_this_machine(cls) -> "ContainerLimits":
        """Return all CPUs and three quarters of the memory; the rest is the daemon's, the engine's and the owner's."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(memory_mib=memory * 3 // 4 // _MIB, cpus=float(os.cpu_count() or 1))

    def share(self, slots: int, of: int) -> "ContainerLimits":
        """Return the limits of one that has so many of the slots: memory, unlike time, cannot be lent twice."""
        return replace(self, memory_mib=self.memory_mib * min(slots, of) // of)

    def narrowed(self, spec: JsonObject) -> "ContainerLimits":
        """Lower these to the job's own `memory_mb`, `cpus` and `pids_limit` where those ask for less."""
        return replace(
            self,
            memory_mib=int(_lower(self.memory_mib, spec.get("memory_mb"), 8)),
            cpus=_lower(self.cpus, spec.get("cpus"), 0.01),
            pids=int(_lower(self.pids, spec.get("pids_limit"), FEWEST_PIDS)),
        )


def requested_image(work: Work) -> str:
    """Return the image reference the job names.

    Raises:
        RunFailed: it names none.
    """
    for candidate in (
        work.params.get("image_override"),
        work.container_spec.get("image_override"),
        work.container_spec.get("image"),
    ):
        if isinstance(candidate, str) and candidate:
            return candidate
    raise RunFailed(ErrorCategory.INVALID_PARAMS, "container_spec.image is required for this kind of job")


def command(work: Work) -> list[str] | None:
    """Return the program to run: a list as it is, a string through the image's /bin/sh, None for the image's own."""
    for candidate in (
        work.container_spec.get("job_cmd"),
        work.container_spec.get("command"),
        work.params.get("command"),
    ):
        if isinstance(candidate, str) and candidate:
            return ["/bin/sh", "-c", candidate]
        if isinstance(candidate, list) and candidate:
            return [str(part) for part in candidate]
    return None


def gpu_count(work: Work) -> int:
    """Return how many GPUs the job is sold, at least 1."""
    count = work.container_spec.get("gpu_count")
    return max(1, int(count)) if isinstance(count, int | float) else 1


def create_options(
    work: Work,
    *,
    owner: str,
    daemon: str,
    limits: ContainerLimits,
    image_user: str,
    image_volumes: Iterable[str],
    gpus: tuple[str, ...],
    seccomp: str,
) -> dict[str, Any]:
    """Return the arguments of the SDK's `containers.create`, image and command aside.

    `owner` and `daemon` say whose container it will be, the second for as long as this process lives. `image_user` is
    the user the image names: any but root is kept. `image_volumes` are the places that it
    declares as volumes. `gpus` are the device ids to hand in. `seccomp` is the profile of
    system calls in the form that the engine takes.
    """
    narrowed = limits.narrowed(work.container_spec)
    return {
        "command": command(work),
        "environment": _environment(work, gpus),
        "labels": {
            LABEL_OWNER: owner,
            LABEL_DAEMON: daemon,
            LABEL_JOB: work.job_id,
            LABEL_ATTEMPT: str(work.attempt),
        },
        # A job that may have one gets that of a guard in its place.
        "network_mode": "none",
        "cap_drop": ["ALL"],
        # A setuid program in the image would give back what was dropped, and so would a user namespace, which the
        # profile of system calls keeps shut: inside one, a process has every capability.
        "security_opt": ["no-new-privileges", f"seccomp={seccomp}"],
        # The machine's defaults may say otherwise; those of processes and host name have no other value than private.
        "ipc_mode": "private",
        "cgroupns": "private",
        # No program reacts to it, and the kernel ignores it for all that do not ask for it: a container that its owner
        # stops stays "stopping" until the engine loses patience, which is seen, and never ends as if by itself.
        "stop_signal": "SIGURG",
        # It would be run by the engine over and over, beside the job.
        "healthcheck": {"test": ["NONE"]},
        "user": _NOBODY if _is_root(image_user) else image_user,
        "read_only": True,
        "tmpfs": dict.fromkeys(
            (*_SCRATCH, *_volumes(image_volumes)), f"rw,nosuid,nodev,mode=1777,size={narrowed.tmp_mib}m"
        ),
        "shm_size": narrowed.tmp_mib * _MIB,
        "mem_limit": narrowed.memory_mib * _MIB,
        # Memory and swap together: equal to the memory, so that there is no swap.
        "memswap_limit": narrowed.memory_mib * _MIB,
        "nano_cpus": round(narrowed.cpus * 1e9),
        "pids_limit": narrowed.pids,
        "ulimits": [
            Ulimit(name="nofile", soft=narrowed.open_files, hard=narrowed.open_files),
            Ulimit(name="nproc", soft=_NPROC, hard=_NPROC),
            # A core file would lie on the owner's disk, with the renter's data in it.
            Ulimit(name="core", soft=0, hard=0),
        ],
        # Output goes to whoever attaches and is kept nowhere, so that a flood of it fills no disk.
        "log_config": LogConfig(type="none"),
        "device_requests": [DeviceRequest(device_ids=list(gpus), capabilities=[["gpu"]])] if gpus else None,
    }


def _volumes(declared: Iterable[str]) -> list[str]:
    """Return where an image wants volumes: an engine would lay them on the owner's disk, without a bound.

    Raises:
        RunFailed: they are too many, or lie where nothing can be put.
    """
    found = [posixpath.normpath(place) for place in declared]
    for place in found:
        is_kernels = any(place == root or place.startswith(f"{root}/") for root in _KERNELS_OWN)
        if is_kernels or place.startswith("//") or not _VOLUME.fullmatch(place):
            raise RunFailed(ErrorCategory.INVALID_PARAMS, f"the image declares a volume at {place[:100]!r}")
    if len(found) > _MOST_VOLUMES:
        raise RunFailed(ErrorCategory.INVALID_PARAMS, f"the image declares more than {_MOST_VOLUMES} volumes")
    return found


def _is_root(image_user: str) -> bool:
    """Whether an image's USER is root: named, unnamed, or any way to write 0."""
    name = image_user.partition(":")[0]
    return name == "root" or not name.strip("0")


def _environment(work: Work, gpus: tuple[str, ...]) -> dict[str, str]:
    # Of a job the server knows better than to hand out; another market's server may not.
    if refused := refused_variables(work.env):
        raise RunFailed(
            ErrorCategory.INVALID_PARAMS, f"environment variable {refused[0][:64]!r} must not be set by a job"
        )
    environment = {
        "HOME": "/tmp",  # noqa: S108 -- the one writable place inside the container
        **work.env,
        # Over the image's own: an image may ask NVIDIA's hook for every card, and gets those that were lent.
        "NVIDIA_VISIBLE_DEVICES": ",".join(gpus) or "void",
        # Behind the renter's own, which cannot replace them.
        "DC1_JOB_ID": work.job_id,
        "DC1_ATTEMPT": str(work.attempt),
        "DC1_PARAMS": json.dumps(work.params, ensure_ascii=False),
        "DC1_TASK_SPEC": json.dumps(work.task_spec, ensure_ascii=False),
    }
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise RunFailed(ErrorCategory.INVALID_PARAMS, f"environment variable {name!r} is not valid")
        if len(f"{name}={value}".encode()) > _ENV_STRING_LIMIT:
            raise RunFailed(ErrorCategory.INVALID_PARAMS, f"{name} is too large to pass to a container (128 KiB)")
    return environment


def _lower(most: float, wanted: JsonValue, least: float) -> float:
    # What is no number asks for nothing; a boolean is an int to Python.
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return most
    return min(most, max(least, wanted))
