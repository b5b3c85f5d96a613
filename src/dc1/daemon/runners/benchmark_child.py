"""The process that multiplies. Request: {"matrix_size", "iterations"}. Events: ready, progress {message}, done {…}."""

import contextlib
import importlib
import platform
import time
from typing import Any

from dc1.daemon.runners.child import ParentLink

# On a CPU a product of this size already takes seconds, and a larger one measures nothing more.
LARGEST_ON_CPU = 4096
_CPU_BUDGET_SECONDS = 60.0
"""After so long no further product is begun; a job that asked for more is answered by what was measured."""


class TorchOnGpu:
    """Half-precision products on the first GPU, the kind of work it is sold for."""

    library, dtype, largest, budget_seconds = "torch", "float16", 16384, 600.0

    def __init__(self) -> None:
        self._torch: Any = importlib.import_module("torch")
        if not self._torch.cuda.is_available():
            raise ImportError("torch sees no CUDA device")
        self.device = str(self._torch.cuda.get_device_name(0))

    def matrices(self, size: int) -> tuple[Any, Any]:
        """Return two random matrices."""
        left, right = self._torch.randn(2, size, size, device="cuda", dtype=self._torch.float16)
        return left, right

    def multiply(self, left: Any, right: Any) -> None:
        """Return when the product is computed, not merely queued."""
        self._torch.matmul(left, right)
        self._torch.cuda.synchronize()


class NumpyOnCpu:
    """Single-precision products on all CPUs."""

    library, dtype, largest, budget_seconds = "numpy", "float32", LARGEST_ON_CPU, _CPU_BUDGET_SECONDS

    def __init__(self) -> None:
        self._numpy: Any = importlib.import_module("numpy")
        self.device = f"cpu ({platform.machine()})"

    def matrices(self, size: int) -> tuple[Any, Any]:
        """Return two random matrices."""
        random = self._numpy.random.default_rng()
        return random.random((size, size), dtype="float32"), random.random((size, size), dtype="float32")

    def multiply(self, left: Any, right: Any) -> None:
        """Compute the product."""
        self._numpy.matmul(left, right)


def choose_machine() -> TorchOnGpu | NumpyOnCpu:
    """Return the fastest of what is installed."""
    with contextlib.suppress(ImportError):
        return TorchOnGpu()
    return NumpyOnCpu()


def measure(link: ParentLink, machine: TorchOnGpu | NumpyOnCpu, wanted_size: int, wanted_iterations: int) -> None:
    """Multiply and report. A machine without a GPU takes fewer, smaller steps and says so."""
    size = min(wanted_size, machine.largest)
    if size < wanted_size:
        link.emit("progress", message=f"matrix_size reduced from {wanted_size} to {size}: this machine has no GPU")
    left, right = machine.matrices(size)
    machine.multiply(left, right)  # the first product pays for kernels and pages

    # n² sums of n products: n multiplications and n - 1 additions each.
    operations, seconds, iterations = 2 * size**3 - size**2, 0.0, 0
    while iterations < wanted_iterations and seconds < machine.budget_seconds:
        started = time.perf_counter()
        machine.multiply(left, right)
        elapsed = time.perf_counter() - started
        iterations, seconds = iterations + 1, seconds + elapsed
        link.emit(
            "progress",
            message=f"iteration {iterations}/{wanted_iterations}: {operations / elapsed / 1e9:.1f} GFLOP/s",
        )
    link.emit(
        "done",
        gflops=round(operations * iterations / seconds / 1e9, 2),
        matrix_size=size,
        iterations=iterations,
        seconds=round(seconds, 6),
        device=machine.device,
        dtype=machine.dtype,
    )


def main() -> None:
    """Announce what is here, then measure on request until the parent is gone."""
    link = ParentLink()
    machine = choose_machine()
    # Said before any request: the parent looks for a library in the same way and asks for nothing then.
    link.emit("ready", library=machine.library, device=machine.device)
    while True:
        request: dict[str, Any] = link.next_request()
        measure(link, machine, request["matrix_size"], request["iterations"])


if __name__ == "__main__":
    main()
