"""The server as a child of the bench."""

import asyncio
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.children import serve_questions
from bench.statements import count_statements, counted
from dc1.server.app import Application
from dc1.server.logs import configure_logging
from dc1.server.process.heap import nothing_collected, tend_heap
from dc1.settings.settings import Settings

_SHORTEST_HOLD_SECONDS = 0.01


def run_server(pipe: Connection, settings: dict[str, Any], log: Path, counting: bool) -> None:
    """Serve until the bench closes the pipe; the first thing said is where. Counting statements takes time too."""
    # Every call writes its log line, as in production.
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    configure_logging("json", "INFO")
    if counting:
        count_statements()
    asyncio.run(_serve(pipe, Settings(**settings)))


class _LoopWatch:
    """How long the loop let nobody else run, in seconds of CPU of its own thread: other processes do not count."""

    def __init__(self) -> None:
        self._held: list[float] = []
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on: 200 looks a second would be a thirtieth of what calls under /v1 cost their server."""
        self._watching = self._watching or asyncio.create_task(self.run())

    def stop(self) -> None:
        """Look no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            held = time.thread_time() - before
            if held > _SHORTEST_HOLD_SECONDS:
                self._held.append(held)

    def take(self) -> list[float]:
        """Return the holds since the last time."""
        held, self._held = self._held, []
        return held


async def _serve(pipe: Connection, settings: Settings) -> None:
    server = Application(settings)
    with nothing_collected():
        place = await server.start()
        tend_heap()
    watch = _LoopWatch()
    pipe.send(place)
    asked, gone = asyncio.Event(), False
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    while not gone:
        await asked.wait()
        asked.clear()
        gone = not serve_questions(
            pipe, {"statements": lambda: dict(counted), "watch": watch.start, "holds": watch.take}
        )
    asyncio.get_running_loop().remove_reader(pipe.fileno())
    watch.stop()
    await server.drain(0.2)
