"""Environment variables that a job may not set, as something outside its container acts by them."""

from collections.abc import Iterable

REFUSED_PREFIXES = ("NVIDIA_", "LD_", "CUDA_MPS_", "HABANA_", "ASCEND_", "_LIBCONTAINER_")
"""Read by the hooks and runtimes of container engines, as root of the machine, and by the dynamic loader."""

REFUSED_SUFFIXES = ("_VISIBLE_DEVICES",)
"""Whatever the maker: which of the machine's cards a job sees is what it was sold."""

# NVIDIA's hook takes an image with CUDA_VERSION for an old one, which is handed every card; the GLIBC variables steer
# the loader as LD_* do; the others choose among cards as *_VISIBLE_DEVICES does.
REFUSED_NAMES = frozenset(
    {
        "CUDA_VERSION",
        "GLIBC_TUNABLES",
        "GPU_DEVICE_ORDINAL",
        "ONEAPI_DEVICE_SELECTOR",
        "ZE_AFFINITY_MASK",
    }
)


def refused_variables(names: Iterable[str]) -> list[str]:
    """Return those of the names, in their order, that no job may set, in whichever case they are written."""
    return [name for name in names if _is_refused(name.strip().upper())]


def _is_refused(name: str) -> bool:
    return name in REFUSED_NAMES or name.startswith(REFUSED_PREFIXES) or name.endswith(REFUSED_SUFFIXES)
