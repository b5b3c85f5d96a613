"""Benchmark jobs: a measured product of two square matrices, in a child process that frees everything when it ends."""

from dc1.daemon.runners.base import Readiness, Result, RunFailed, Sink, Work, number, within_deadline
from dc1.daemon.runners.child import ChildDiedError, ChildProcess
from dc1.domain.jobs.states import ErrorCategory, JobType, Phase

_CHILD = "dc1.daemon.runners.benchmark_child"


class BenchmarkRunner:
    """Multiplies matrices on the GPU through torch where there is one, else on the CPU through numpy."""

    kinds = frozenset({JobType.BENCHMARK})

    def __init__(self) -> None:
        self._found: Readiness | None = None

    async def probe(self) -> Readiness:
        """Look, once, for a library to multiply with."""
        # What was found stays; what was missing may have been installed since.
        if self._found is None or not self._found.available:
            self._found = await self._look()
        return self._found

    @within_deadline
    async def run(self, work: Work, sink: Sink) -> Result:
        """Measure `iterations` products of `matrix_size` square matrices."""
        request = {
            "matrix_size": int(number(work.params, "matrix_size", 4096, 128, 16384)),
            "iterations": int(number(work.params, "iterations", 5, 1, 100)),
        }
        child = await ChildProcess.start(_CHILD)
        try:
            ready = await child.receive()
            await sink.log("info", f"measuring with {ready.get('library')} on {ready.get('device')}")
            await sink.phase(Phase.GENERATING)
            await child.send({**request})
            while (event := await child.receive())["event"] != "done":
                await sink.log("info", str(event.get("message")))
        except ChildDiedError as death:
            category = ErrorCategory.OOM if death.ran_out_of_memory else ErrorCategory.ENGINE
            raise RunFailed(category, f"the benchmark stopped: {death}") from death
        finally:
            # Also after success: only the end of the process gives the GPU's memory back.
            await child.kill()
        del event["event"]
        seconds = event.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise RunFailed(ErrorCategory.ENGINE, "the benchmark did not say how long it took")
        on_gpu = ready.get("library") == "torch"
        return Result(payload={"type": "benchmark", **event}, gpu_seconds=seconds if on_gpu else 0.0)

    async def aclose(self) -> None:
        """Do nothing: a run leaves nothing behind."""

    async def _look(self) -> Readiness:
        # Asked in a child: importing torch takes seconds and opens the GPU.
        try:
            child = await ChildProcess.start(_CHILD)
            try:
                ready = await child.receive()
            finally:
                await child.kill()
        except (ChildDiedError, OSError) as error:
            return Readiness(False, f"nothing to multiply matrices with: {error}")
        return Readiness(True, f"{ready.get('library')} on {ready.get('device')}")
