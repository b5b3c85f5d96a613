"""The process that computes a probe. Request: what is in `_answer`. Events: ready, roots, leaves, failed."""

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from dc1.daemon.runners.child import ParentLink
from dc1.domain.probe import generation
from dc1.domain.probe.answering import Answer, Library
from dc1.domain.probe.rounds import TAG_BYTES, WIDTH, Kind, LeafRef, Round, first_round
from dc1.domain.providers.measurements import Device


def choose_library(device: Device) -> tuple[str, Library]:
    """Return the best that is installed for a device, with its name.

    Raises:
        ImportError: nothing is that computes on it.
    """
    from dc1.daemon.probe.array_library import ArrayLibrary

    if device is Device.CPU:
        numpy = importlib.import_module("numpy")
        return "numpy", ArrayLibrary(numpy, numpy.asarray, _cores())
    with contextlib.suppress(ImportError):
        from dc1.daemon.probe.torch_library import TorchLibrary

        return "PyTorch", TorchLibrary()
    try:
        cupy: Any = importlib.import_module("cupy")
    except ImportError:
        raise ImportError("neither PyTorch nor CuPy that sees the GPU is installed beside the daemon") from None
    return "CuPy", ArrayLibrary(cupy, cupy.asnumpy)


def _cores() -> int:
    # Those that this process may use, where the system tells; a container often has a few of many.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class _Probed:
    """The side of a probe that is asked."""

    def __init__(self, link: ParentLink, library: Library) -> None:
        self._link = link
        self._library = library
        self._answer: Answer | None = None

    def prepare(self, device: Device, seed: bytes) -> None:
        self._library.load_table(seed, first_round(device, Kind.MEMORY).rows)
        # The first product pays for kernels, threads and pages, which say nothing of the machine.
        self._library.load_matrix(generation.matrix(seed))
        self._library.step(bytes(first_round(device, Kind.PRODUCTS).rows * TAG_BYTES), bytes(WIDTH - TAG_BYTES))

    def follow(self, request: dict[str, Any]) -> None:
        if "open" in request:
            assert self._answer is not None
            refs = [LeafRef(step, leaf) for step, leaf in request["open"]]
            leaves = [
                [ref.step, ref.leaf, content.hex(), [node.hex() for node in path]]
                for ref, content, path in self._answer.leaves(refs)
            ]
            self._link.emit("leaves", number=request["number"], leaves=leaves)
            return
        # The answer before is let go first: both may not fit.
        self._answer = None
        of = Round(Kind(request["kind"]), request["rows"], request["steps"])
        self._answer = Answer(self._library, of, bytes.fromhex(request["seed"]))
        self._link.emit("roots", number=request["number"], roots=[root.hex() for root in self._answer.roots])


def main() -> None:
    """Load a library, then compute what is asked for until the parent is gone."""
    link = ParentLink()
    # Whoever runs out of memory meanwhile, this is what goes first, and not a renter's job or the daemon.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    device, seed = Device(sys.argv[1]), bytes.fromhex(sys.argv[2])
    try:
        name, library = choose_library(device)
    except ImportError as missing:
        link.emit("failed", reason=str(missing))
        return
    probed = _Probed(link, library)
    probed.prepare(device, seed)
    link.emit("ready", library=name)
    while True:
        request: dict[str, Any] = link.next_request()
        probed.follow(request)


if __name__ == "__main__":
    main()
