"""A runner that does what the test says."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from dc1.daemon.runners.base import Readiness, Result, Sink, Work
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import JobType


@dataclass
class Run:
    """One call of `run`, in the hands of the test."""

    work: Work
    sink: Sink
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _end: "asyncio.Future[Result]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def finish(self, payload: JsonObject | str = "done", **facts: int) -> None:
        self._end.set_result(Result(payload, **facts))

    def fail(self, failure: BaseException) -> None:
        if isinstance(failure, asyncio.CancelledError):
            self._end.cancel()
        else:
            self._end.set_exception(failure)

    async def end(self) -> Result:
        try:
            return await self._end
        finally:
            self.stopped.set()


class ScriptedRunner:
    """Hands each run to the test."""

    def __init__(self, *models: str, kinds: frozenset[JobType] = frozenset({JobType.LLM_INFERENCE})) -> None:
        self.kinds = kinds
        self.found = Readiness(True, "scripted", models)
        self.closed = False
        self.cleanup: asyncio.Event | None = None
        """When set by a test, what a stopped run waits for before it is gone."""
        self._runs: asyncio.Queue[Run] = asyncio.Queue()

    async def next_run(self) -> Run:
        async with asyncio.timeout(15):
            return await self._runs.get()

    @property
    def started_another(self) -> bool:
        return not self._runs.empty()

    async def probe(self) -> Readiness:
        return self.found

    async def run(self, work: Work, sink: Sink) -> Result:
        run = Run(work, sink)
        self._runs.put_nowait(run)
        try:
            return await run.end()
        finally:
            if self.cleanup is not None:
                await self.cleanup.wait()

    async def aclose(self) -> None:
        self.closed = True


class ScriptedImageRunner(ScriptedRunner):
    """One that takes container jobs, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__(kinds=frozenset({JobType.TRAINING}))
        self.gpus: list[str] = []
        self.refuses: str | None = None
        self.served: list[tuple[int, list[str]]] = []

    def serve(self, provider_id: int, images: Iterable[str]) -> None:
        self.served.append((provider_id, sorted(images)))

    def pytorch_image(self) -> tuple[str, str] | None:
        return None

    def use_gpus(self, uuids: Iterable[str]) -> None:
        self.gpus = list(uuids)

    def refusal(self, work: Work) -> str | None:
        return self.refuses
