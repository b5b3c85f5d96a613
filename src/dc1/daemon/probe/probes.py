"""Probes as a stream's daemon answers them: one at a time, in a child process that work for a renter ends."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from dc1.containment import contained
from dc1.daemon.runners.child import ChildDiedError, ChildProcess
from dc1.domain.base.json_types import JsonObject
from dc1.domain.probe.rounds import MAX_KEPT_BYTES, MAX_STEPS, TAG_BYTES, Kind
from dc1.domain.providers.measurements import Device
from dcp.v1 import daemon_probe_pb2 as probe_pb
from dcp.v1.daemon_stream_pb2 import ConnectRequest, ConnectResponse

log = structlog.get_logger(__name__)

_CHILD = "dc1.daemon.probe.probe_child"
_CONTAINER_CHILD = "dc1.daemon.probe.container_child"
_LONGEST_SECONDS = 120.0
"""A server that forgets a probe does not keep the machine's memory for longer."""

# Read by whatever multiplies for numpy; the child has threads of its own.
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_MOST_ROWS = 1 << 17
_KINDS = {probe_pb.PROBE_KIND_PRODUCTS: Kind.PRODUCTS, probe_pb.PROBE_KIND_MEMORY: Kind.MEMORY}


class Probes:
    """Answers the server's probes by `say`; `has_gpu` tells what this machine reports.

    `image` tells in which image the probe is computed, and by which engine, where nothing beside the daemon can.
    """

    def __init__(
        self,
        say: Callable[[ConnectRequest], None],
        has_gpu: Callable[[], bool],
        image: Callable[[], tuple[str, str] | None] = lambda: None,
    ) -> None:
        self._say = say
        self._has_gpu = has_gpu
        self._image = image
        self._probe_id = ""
        self._requests: asyncio.Queue[JsonObject] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        # Those that were cancelled, too, until their children are gone.
        self._running: set[asyncio.Task[None]] = set()

    def take(self, message: ConnectResponse) -> None:
        """Follow a message about a probe."""
        match message.WhichOneof("message"):
            case "probe_prepare":
                self._begin(message.probe_prepare)
            case "probe_begin" if message.probe_begin.probe_id == self._probe_id:
                self._compute(message.probe_begin)
            case "probe_open" if message.probe_open.probe_id == self._probe_id:
                opened = message.probe_open
                self._requests.put_nowait(
                    {"number": opened.round, "open": [[ref.step, ref.leaf] for ref in opened.leaves]}
                )
            case "probe_end" if message.probe_end.probe_id == self._probe_id:
                log.info("probe_ended", outcome=message.probe_end.outcome)
                self._stop()
            case _:
                pass  # of a probe that is over

    def interrupt(self) -> None:
        """End a probe as a job has come."""
        if self._task is not None:
            self._fail(self._probe_id, "the machine got work")
            self._stop()

    async def aclose(self) -> None:
        """End what runs, and wait until it is gone."""
        self._stop()
        # Again, as one that ends has its child's end to wait for.
        while self._running:
            await asyncio.wait(self._running)

    def _begin(self, prepare: probe_pb.ProbePrepare) -> None:
        self._stop()
        self._probe_id = prepare.probe_id
        self._requests = asyncio.Queue()
        device = Device.GPU if self._has_gpu() else Device.CPU
        run = self._run(prepare.probe_id, device, prepare.table_seed, self._requests)
        self._task = self._kept(asyncio.create_task(run, name="probe"))

    def _kept(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _compute(self, begin: probe_pb.ProbeBegin) -> None:
        kind = _KINDS.get(begin.kind)
        # What a server that is wrong, or is none, may take of this machine's memory is bounded here.
        kept = begin.rows * begin.steps * TAG_BYTES
        if kind is None or begin.rows > _MOST_ROWS or begin.steps > MAX_STEPS or kept > MAX_KEPT_BYTES:
            self._fail(begin.probe_id, "this daemon computes no such round")
            self._stop()
            return
        size: JsonObject = {"kind": kind.value, "rows": begin.rows, "steps": begin.steps}
        self._requests.put_nowait({"number": begin.round, "seed": begin.seed.hex(), **size})

    async def _run(self, probe_id: str, device: Device, seed: bytes, requests: asyncio.Queue[JsonObject]) -> None:
        try:
            with contained():
                async with asyncio.timeout(_LONGEST_SECONDS):
                    await self._converse(probe_id, device, seed, requests)
        except TimeoutError:
            self._fail(probe_id, f"the probe was not over in {_LONGEST_SECONDS:.0f} s")
        except (ChildDiedError, OSError) as death:
            log.warning("probe_child_ended", reason=str(death))
            self._fail(probe_id, "what computes the probe ended")
        except Exception:
            # Never the daemon's end: the leases that it holds are worth more than its measurement.
            log.exception("probe_not_answered")
            self._fail(probe_id, "the daemon could not answer the probe")
        finally:
            # Unless another probe has begun since.
            if self._probe_id == probe_id:
                self._task, self._probe_id = None, ""

    async def _converse(self, probe_id: str, device: Device, seed: bytes, requests: asyncio.Queue[JsonObject]) -> None:
        asked = device.value, seed.hex()
        missing = await self._converse_with(probe_id, device, requests, _CHILD, *asked)
        image = self._image()
        if missing is not None and image is not None:
            log.info("probed_in_a_container", image=image[0], reason=missing)
            in_container = await self._converse_with(probe_id, device, requests, _CONTAINER_CHILD, *asked, *image)
            missing = in_container and f"{missing}; {in_container}"
        if missing is not None:
            log.warning("not_probed", reason=missing, hint="the machine stays listed by what it reports")
            self._fail(probe_id, missing)

    async def _converse_with(
        self, probe_id: str, device: Device, requests: asyncio.Queue[JsonObject], module: str, *arguments: str
    ) -> str | None:
        """Pass on what a child says until the probe is over; return why it cannot compute, if it cannot."""
        child = await ChildProcess.start(module, *arguments, environment=_ONE_THREAD)
        try:
            while True:
                match await child.receive():
                    case {"event": "failed", "reason": str(reason)}:
                        return reason
                    case event:
                        self._tell(probe_id, device, event)
                await child.send(await requests.get())
        finally:
            # To its end also when this is cancelled meanwhile, or the process would be left to nobody.
            await asyncio.shield(self._kept(asyncio.create_task(child.kill())))

    def _tell(self, probe_id: str, device: Device, event: JsonObject) -> None:
        match event:
            case {"event": "ready", "library": str(library), "integers": bool(integers)}:
                ready = probe_pb.ProbeReady(
                    probe_id=probe_id, device=device.value, library=library, integer_products=integers
                )
                self._say(ConnectRequest(probe_ready=ready))
            case {"event": "roots", "number": int(number), "roots": list(roots)}:
                values = [bytes.fromhex(str(root)) for root in roots]
                self._say(
                    ConnectRequest(probe_roots=probe_pb.ProbeRoots(probe_id=probe_id, round=number, roots=values))
                )
            case {"event": "leaves", "number": int(number), "leaves": list(leaves)}:
                opened = [_leaf(leaf) for leaf in leaves if isinstance(leaf, list)]
                self._say(
                    ConnectRequest(probe_leaves=probe_pb.ProbeLeaves(probe_id=probe_id, round=number, leaves=opened))
                )
            case _:
                raise ValueError("an event of a probe that is none")

    def _fail(self, probe_id: str, reason: str) -> None:
        self._say(ConnectRequest(probe_failure=probe_pb.ProbeFailure(probe_id=probe_id, reason=reason)))

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._probe_id = ""


def _leaf(leaf: Sequence[object]) -> probe_pb.ProbeLeaf:
    step, index, content, path = leaf
    assert isinstance(step, int)
    assert isinstance(index, int)
    assert isinstance(path, list)
    return probe_pb.ProbeLeaf(
        ref=probe_pb.ProbeLeafRef(step=step, leaf=index),
        content=bytes.fromhex(str(content)),
        path=[bytes.fromhex(str(node)) for node in path],
    )
