"""The process that computes a probe. Requests: a round, or leaves of it. Events: ready, roots, leaves, failed."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dc1.daemon.runners.child import ParentLink
from dc1.domain.probe import generation
from dc1.domain.probe.answering import Answer, Library
from dc1.domain.probe.rounds import TAG_BYTES, WIDTH, Kind, LeafRef, Round, first_round
from dc1.domain.providers.measurements import Device


class NothingToComputeWithError(Exception):
    """Nothing is installed that computes on the device, or nothing that does so exactly."""


def choose_library(device: Device) -> tuple[str, Library]:
    """Return the best that is installed for a device and computes exactly, with its name.

    Raises:
        NothingToComputeWithError: none is.
    """
    found = []
    for name, make in _MAKERS[device].items():
        with contextlib.suppress(ImportError):
            library = make()
            # A library that rounds would look like a cheat; found out here, it is only no library to be measured by.
            if is_exact(library):
                return name, library
            found.append(name)
    if found:
        raise NothingToComputeWithError(f"{' and '.join(found)} does not compute exactly here")
    raise NothingToComputeWithError(f"none of {', '.join(_MAKERS[device])} is installed beside the daemon and works")


def is_exact(library: Library) -> bool:
    """Tell whether a library comes to the same as plain numpy, by a few rows of each kind."""
    from dc1.domain.probe import arithmetic

    matrix, tags, filling = generation.matrix(_TRIED), generation.first_tags(_TRIED, _TRIED_ROWS), bytes(_FILLING)
    library.load_matrix(matrix)
    rows = arithmetic.signed(tags, _TRIED_ROWS, TAG_BYTES)
    right = arithmetic.step_of(arithmetic.matrix(_TRIED), rows, arithmetic.signed(filling, _FILLING))
    library.load_table(_TRIED, _TRIED_ROWS)
    vector = generation.vector(_TRIED, 0, b"")
    sums = arithmetic.table_rows(_TRIED, range(_TRIED_ROWS)) @ arithmetic.signed(vector, len(vector)).astype(float)
    return library.step(tags, filling) == right.tobytes() and library.read_table(vector) == arithmetic.table_tags(sums)


def _numpy() -> Library:
    # After the parent's link and not above: whatever these print when they are loaded must not be taken for an event.
    from dc1.daemon.probe.array_library import ArrayLibrary

    numpy = importlib.import_module("numpy")
    return ArrayLibrary(numpy, numpy.asarray, _cores())


def _torch() -> Library:
    from dc1.daemon.probe.torch_library import TorchLibrary

    return TorchLibrary()


def _cupy() -> Library:
    from dc1.daemon.probe.array_library import ArrayLibrary

    cupy: Any = importlib.import_module("cupy")
    return ArrayLibrary(cupy, cupy.asnumpy)


_MAKERS: Mapping[Device, Mapping[str, Callable[[], Library]]] = {
    Device.CPU: {"numpy": _numpy},
    # CuPy has these products in floats only, by which a card looks slower than it is.
    Device.GPU: {"PyTorch": _torch, "CuPy": _cupy},
}
_TRIED = b"tried before it is measured by   "[:32]
# More than the sixteen that integer products of cards need.
_TRIED_ROWS = 32
_FILLING = WIDTH - TAG_BYTES


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
        self._library.step(bytes(first_round(device, Kind.PRODUCTS).rows * TAG_BYTES), bytes(_FILLING))

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
    except NothingToComputeWithError as missing:
        link.emit("failed", reason=str(missing))
        return
    probed = _Probed(link, library)
    probed.prepare(device, seed)
    link.emit("ready", library=name, integers=library.integer_products)
    while True:
        request: dict[str, Any] = link.next_request()
        probed.follow(request)


if __name__ == "__main__":
    main()
