"""The daemon's side of a probe: one child, ended by work, by the server's word and by its own fault."""

import asyncio
import os
import pathlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from dc1.daemon.probe.array_library import ArrayLibrary
from dc1.daemon.probe.probe_child import is_exact
from dc1.daemon.probe.probes import Probes
from dc1.domain.probe.answering import Answer
from dc1.domain.probe.rounds import Kind, Round
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_probe_pb2 as probe_pb
from dcp.v1.daemon_stream_pb2 import ConnectRequest, ConnectResponse

DEADLINE_SECONDS = 30.0
TABLE, SEED = b"t" * 32, b"s" * 32


class Probed:
    """Probes with nobody but a test to hear them."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[ConnectRequest] = asyncio.Queue()
        self.has_gpu = False
        self.probes = Probes(self.said.put_nowait, lambda: self.has_gpu)

    def prepare(self, probe_id: str = "p1") -> None:
        self.hear(probe_prepare=probe_pb.ProbePrepare(probe_id=probe_id, table_seed=TABLE))

    def begin(self, **changes: Any) -> None:
        begin = {"probe_id": "p1", "round": 1, "kind": probe_pb.PROBE_KIND_PRODUCTS, "rows": 256, "steps": 1}
        self.hear(probe_begin=probe_pb.ProbeBegin(**{**begin, "seed": SEED, **changes}))

    def hear(self, **message: Any) -> None:
        self.probes.take(ConnectResponse(**message))

    async def next(self, kind: str) -> Any:
        message = await asyncio.wait_for(self.said.get(), DEADLINE_SECONDS)
        assert message.WhichOneof("message") == kind, message
        return getattr(message, kind)


@pytest.fixture
async def probed() -> AsyncIterator[Probed]:
    probed = Probed()
    yield probed
    await probed.probes.aclose()
    assert not children()


async def test_a_round_is_computed_and_opened_until_work_comes(probed: Probed) -> None:
    probed.prepare()
    ready = await probed.next("probe_ready")
    assert (ready.device, ready.library, ready.integer_products) == ("cpu", "numpy", False)
    probed.begin(probe_id="another")
    probed.begin()
    roots = await probed.next("probe_roots")
    assert (roots.round, list(roots.roots)) == (1, right_roots())
    probed.hear(probe_open=probe_pb.ProbeOpen(probe_id="p1", round=1, leaves=[probe_pb.ProbeLeafRef(step=0, leaf=1)]))
    opened = (await probed.next("probe_leaves")).leaves[0]
    assert (opened.ref.step, opened.ref.leaf, len(opened.content), len(opened.path)) == (0, 1, 2048, 1)
    probed.probes.interrupt()
    assert (await probed.next("probe_failure")).reason == "the machine got work"
    await asyncio.to_thread(eventually, lambda: not children(), "the end of the child")
    # Of a probe that is over nothing more is said.
    probed.begin()
    probed.probes.interrupt()
    assert probed.said.empty()


async def test_a_child_that_dies_ends_its_probe_and_nothing_else(probed: Probed) -> None:
    probed.prepare()
    await probed.next("probe_ready")
    (child,) = children()
    probed.begin(steps=4096, rows=1024)
    os.kill(child, signal.SIGKILL)
    assert (await probed.next("probe_failure")).reason == "what computes the probe ended"


async def test_what_would_take_too_much_memory_is_refused(probed: Probed) -> None:
    probed.prepare()
    probed.begin(rows=1 << 17, steps=1 << 12)
    assert (await probed.next("probe_failure")).reason == "this daemon computes no such round"


async def test_a_gpu_without_a_library_is_not_measured_by_the_processor(probed: Probed) -> None:
    probed.has_gpu = True
    probed.prepare()
    reason = (await probed.next("probe_failure")).reason
    assert reason == "none of PyTorch, CuPy is installed beside the daemon and works"


def test_a_library_that_rounds_is_found_out_before_the_server_does() -> None:
    exact = ArrayLibrary(np, np.asarray, 2)
    assert is_exact(exact)

    class Rounds(ArrayLibrary):
        def step(self, tags: bytes, filling: bytes) -> bytes:
            came = super().step(tags, filling)
            return came[:-1] + bytes([came[-1] ^ 1])

    assert not is_exact(Rounds(np, np.asarray))


def right_roots() -> list[bytes]:
    """What the round that `Probed.begin` asks for leads to."""
    return Answer(ArrayLibrary(np, np.asarray), Round(Kind.PRODUCTS, 256, 1), SEED).roots


def children() -> list[int]:
    """The processes that compute probes for this one."""
    own = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    with pathlib.Path(own).open(encoding="ascii") as file:
        pids = [int(word) for word in file.read().split()]
    return [pid for pid in pids if _is_probe(pid)]


def _is_probe(pid: int) -> bool:
    try:
        with pathlib.Path(f"/proc/{pid}/cmdline").open("rb") as file:
            return b"probe_child" in file.read()
    except OSError:
        return False
