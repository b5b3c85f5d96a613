"""The server as a child of the bench."""

import asyncio
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.children import serve_questions
from bench.statements import count_statements, counted
from dc1.server.app import Application
from dc1.server.logs import configure_logging
from dc1.server.process.startup_heap import freeze_startup_objects
from dc1.settings.settings import Settings


def run_server(pipe: Connection, settings: dict[str, Any], log: Path, counting: bool) -> None:
    """Serve until the bench closes the pipe; the first thing said is where. Counting statements takes time too."""
    # Every call writes its log line, as in production.
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    configure_logging("json", "INFO")
    if counting:
        count_statements()
    asyncio.run(_serve(pipe, Settings(**settings)))


async def _serve(pipe: Connection, settings: Settings) -> None:
    server = Application(settings)
    place = await server.start()
    freeze_startup_objects()
    pipe.send(place)
    asked, gone = asyncio.Event(), False
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    while not gone:
        await asked.wait()
        asked.clear()
        gone = not serve_questions(pipe, {"statements": lambda: dict(counted)})
    asyncio.get_running_loop().remove_reader(pipe.fileno())
    await server.drain(0.2)
