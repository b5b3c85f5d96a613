"""Machines are judged by what their daemons checked and measured."""

from dc1.domain.base.addresses import parse_address
from dc1.domain.base.json_types import JsonObject
from dc1.domain.base.numeric import as_number
from dc1.domain.providers.reports import metric_of

READY_VRAM_GB = 4
# Least TFLOPS and GB of VRAM of each.
_TIERS = (("A", 900, 40), ("B", 200, 20))
_LOWEST_TIER = "C"


def is_ready(checks: JsonObject) -> bool:
    """Tell whether a machine is ready: CUDA and PyTorch work, and there is VRAM enough."""
    vram_gb = as_number(checks.get("vram_gb"))
    works = checks.get("cuda") is True and checks.get("pytorch") is True
    return works and vram_gb is not None and vram_gb >= READY_VRAM_GB


def benchmark_grade(tflops: float, vram_gb: float) -> str:
    """Return the grade of a benchmark, A to C."""
    for name, least_tflops, least_vram_gb in _TIERS:
        if tflops >= least_tflops and vram_gb >= least_vram_gb:
            return name
    return _LOWEST_TIER


def vram_used_mib(gpu_status: JsonObject | None, vram_mib: int | None) -> float:
    """Return how much VRAM a report says is in use, 0 when it does not say."""
    free = metric_of(gpu_status, "free_vram_mib")
    return 0 if free is None or vram_mib is None else max(0, vram_mib - free)


def endpoint_url(address: str, port: int) -> str | None:
    """Return where a service is reached, None when the address is not a public one."""
    parsed = parse_address(address)
    # Renters are sent there: nothing inside the operator's network may be named.
    if parsed is None or not parsed.is_global or parsed.is_multicast:
        return None
    host = f"[{parsed}]" if parsed.version == 6 else str(parsed)
    return f"http://{host}:{port}"
